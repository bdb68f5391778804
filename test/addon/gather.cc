// Walks the policies of gather.h, and tries them on a real socket; says what is wrong on stderr.
#include "../../addon/gather.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <limits>
#include <memory>

#include "../../addon/read_groups.h"
#include "../../addon/sockets.h"

using aionbd::Connection;
using aionbd::InTime;
using aionbd::IoRequest;
using aionbd::LowWater;
using aionbd::ReadGroups;
using aionbd::UniqueFd;

namespace {

constexpr int KiB = 1024;
constexpr int kLooks = 32;
int failures = 0;

void expect(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "not so: %s\n", what);
  failures++;
}

// Sets what is wanted, as the socket would. Returns whether anything was.
bool look(LowWater& water, int queued) {
  const int wanted = water.look(queued);
  if (wanted > 0) water.set(wanted);
  return wanted > 0;
}

void follow() {
  LowWater water(std::numeric_limits<int>::max());
  expect(water.mark_bytes() == 0, "there is no mark at first");
  expect(look(water, 100 * KiB) && water.mark_bytes() == 75 * KiB,
         "the first look sets one, at three quarters");
  int sets = 0;
  for (int i = 0; i < kLooks; i++) sets += look(water, i == 3 ? 160 * KiB : 120 * KiB);
  expect(sets == 1 && water.mark_bytes() == 120 * KiB, "then it follows the longest of many");
  sets = 0;
  for (int i = 0; i < 10 * kLooks; i++) sets += look(water, (i % 2 == 0 ? 160 : 150) * KiB);
  expect(sets == 0, "it stays where the queue stays");
  for (int i = 0; i < 10 * kLooks; i++) sets += look(water, 165 * KiB);
  expect(sets == 0, "a small change is not worth a system call");
  for (int i = 0; i < 2 * kLooks; i++) sets += look(water, 100 * KiB);
  expect(sets == 1 && water.mark_bytes() == 75 * KiB, "it falls with the queue");
  for (int i = 0; i < 2 * kLooks; i++) look(water, 8192 * KiB);
  expect(water.mark_bytes() == (8192 - 512) * KiB, "of a long queue half a MiB is to be read");

  LowWater bounded(2048 * KiB);
  for (int i = 0; i < 10 * kLooks; i++) look(bounded, 8192 * KiB);
  expect(bounded.mark_bytes() == 2048 * KiB, "no mark lets the socket hold more than it is to");
  expect(!bounded.is_near(8192 * KiB), "and one that is far away is not waited for");
  expect(bounded.is_near(2100 * KiB), "but one that is near");
  expect(!bounded.is_near(2048 * KiB), "and not one that is reached");
}

void learn_the_mark() {
  LowWater water(std::numeric_limits<int>::max());
  const auto settle = [&water](auto in_time) {
    for (int i = 0; i < 4000; i++) {
      look(water, 400 * KiB);
      water.waited(in_time(i));
    }
    return water.mark_bytes();
  };
  expect(settle([](int) { return true; }) < 160 * KiB, "it falls while readers are never late");
  expect(settle([](int) { return true; }) >= 133 * KiB, "to a third of the queue");
  expect(settle([](int) { return false; }) > 260 * KiB, "it rises while they are");
  expect(settle([](int) { return false; }) <= 300 * KiB, "to three quarters");
  // A reader that runs dry below half of the queue.
  settle([&water](int) { return water.mark_bytes() > 200 * KiB; });
  int late = 0;
  settle([&](int) {
    const int mark = water.mark_bytes();
    expect(mark > 150 * KiB && mark < 270 * KiB, "it stays about where they begin to be late");
    if (mark > 200 * KiB) return true;
    late++;
    return false;
  });
  expect(late > 200 && late < 1600, "so that some are, and few");
}

void go_in_groups() {
  ReadGroups groups;
  IoRequest request;
  const auto tagged = [](uint32_t tag) {
    IoRequest made;
    made.tag = tag;
    return made;
  };
  expect(!groups.has_more() && !groups.next(&request), "nothing is put off at first");
  groups.begin();
  for (size_t i = 0; i < ReadGroups::kMostReads; i++) expect(groups.admit(), "a group takes some");
  expect(!groups.admit(), "and no more");
  for (uint32_t tag = 0; tag < 100; tag++) groups.put_off(tagged(tag));
  expect(!groups.next(&request), "a full group takes none of those put off");
  groups.begin();
  expect(!groups.admit(), "those put off come first");
  expect(groups.cancel(3, &request) && request.tag == 3, "one can be taken out");
  expect(!groups.cancel(3, &request) && !groups.cancel(100, &request), "only once, and only what is there");
  size_t in_this = 0;
  uint32_t wanted = 0, next = 100;
  while (groups.has_more()) {
    if (!groups.next(&request)) {
      expect(in_this == ReadGroups::kMostReads, "a group is full when it takes no more");
      groups.begin();
      in_this = 0;
      // It is not empty for long.
      for (int i = 0; i < 4; i++) groups.put_off(tagged(next++));
      continue;
    }
    if (wanted == 3) wanted++;
    expect(request.tag == wanted, "they keep their order");
    wanted++;
    in_this++;
  }
  expect(wanted == next && next > 180, "and all come");
  for (uint32_t tag = 0; tag < 30; tag++) groups.put_off(tagged(tag));
  groups.open();
  for (uint32_t tag = 0; tag < 30; tag++)
    expect(groups.next(&request) && request.tag == tag, "an open group takes all");
  expect(groups.admit(), "and more");
  groups.begin();
  for (size_t i = 0; i < ReadGroups::kMostReads; i++) groups.admit();
  expect(!groups.admit(), "the next one is like any other");
  groups.begin();
  expect(groups.admit(), "a group takes what comes again");
  groups.put_off(tagged(1));
  expect(groups.cancel(1, &request) && !groups.has_more(), "the last one can be taken out, too");
  groups.put_off(tagged(2));
  groups.clear();
  groups.begin();
  expect(!groups.has_more() && !groups.next(&request), "what is forgotten does not come");
}

void be_in_time() {
  constexpr uint64_t kMillisecond = 1'000'000;
  InTime in_time;
  uint64_t now = 1000 * kMillisecond;
  expect(in_time.may_wait(now), "it waits from the start");
  for (int i = 0; i < 1000; i++) in_time.woke(now, i % 10 != 0);
  expect(in_time.may_wait(now), "being late now and then changes nothing");
  int late = 0;
  while (in_time.may_wait(now) && late < 100) {
    in_time.woke(now, false);
    late++;
  }
  expect(late > 1 && late < 20, "being late again and again ends it");
  expect(!in_time.may_wait(now + 9 * kMillisecond), "for ten milliseconds");
  now += 10 * kMillisecond;
  expect(in_time.may_wait(now), "and no longer");
  while (in_time.may_wait(now)) in_time.woke(now, false);
  expect(!in_time.may_wait(now + 19 * kMillisecond), "twice as long the next time");
  expect(in_time.may_wait(now + 20 * kMillisecond), "and no longer than that");
}

constexpr int kReplyBytes = 4 * KiB;

struct Pair {
  Pair() {
    int ends[2];
    expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0, "there are sockets");
    aionbd::set_up_stream(ends[0], false);
    server = std::make_unique<Connection>(UniqueFd(ends[0]));
    client = UniqueFd(ends[1]);
  }
  std::unique_ptr<Connection> server;
  UniqueFd client;

  // Eight replies in one call, as the kernel then has them in one piece.
  int send() {
    static uint8_t data[kReplyBytes];
    for (int i = 0; i < 8; i++) server->queue_send({data, 0, data, kReplyBytes, 0});
    aionbd::Counters counters;
    return server->send_now(&counters, [](const aionbd::SendPiece&) {});
  }
  bool writable() const {
    pollfd state{server->fd(), POLLOUT, 0};
    return poll(&state, 1, 0) == 1;
  }
  int buffer_bytes() const {
    int bytes = 0;
    socklen_t length = sizeof bytes;
    getsockopt(server->fd(), SOL_SOCKET, SO_SNDBUF, &bytes, &length);
    return bytes;
  }
  bool read_reply() const {
    uint8_t data[kReplyBytes];
    return read(client.get(), data, sizeof data) == kReplyBytes;
  }
};

void tell_of_the_mark() {
  Pair pair;
  const int full = pair.buffer_bytes();
  for (int round = 0; round < 3; round++) {
    for (int call = 0; call < 4; call++) expect(pair.send() == 0, "replies leave");
    expect(pair.server->unread() >= aionbd::UnreadReplies::kMany, "they are unread");
    expect(pair.server->lower_water(), "there is something to wait for");
    expect(!pair.writable(), "the socket is not writable above the mark");
    int read = 0;
    while (!pair.writable() && pair.read_reply()) read++;
    expect(read >= 8 && read <= 24, "it is when a part has been read");
    expect(!pair.server->ran_dry(), "and there is more to read then");
    while (pair.read_reply()) read++;
    expect(read == 32, "nothing is lost");
    expect(pair.server->ran_dry(), "in the end nothing is left");
  }
  expect(pair.buffer_bytes() < full, "the buffer is as small as the mark wants it");
  int sent = 0;
  while (sent < full && pair.send() == 0) sent += 8 * kReplyBytes;
  expect(sent > full / 2, "more than that finds room all the same");
  expect(pair.buffer_bytes() == full, "in the whole buffer");
}

void hold_no_more_than_without_a_mark() {
  Pair pair;
  const int full = pair.buffer_bytes();
  int sent = 0;
  while (sent < 10 * full && pair.send() == 0) {
    sent += 8 * kReplyBytes;
    pair.server->unread();
    pair.server->lower_water();
    expect(pair.buffer_bytes() <= full, "a reader that does not read gets no larger a buffer");
  }
  expect(sent > full / 2 && sent <= full, "it is full when it is full");
  expect(pair.buffer_bytes() == full, "and as large as it was");
}

}  // namespace

int main() {
  follow();
  learn_the_mark();
  go_in_groups();
  be_in_time();
  tell_of_the_mark();
  hold_no_more_than_without_a_mark();
  return failures == 0 ? 0 : 1;
}
