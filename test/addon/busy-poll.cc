// Walks the policy of --busy-poll through good and bad times; says what is wrong on stderr.
#include <cstdio>

#include "../../addon/busy_poll.h"

using aionbd::BusyPoll;

namespace {

constexpr uint64_t kMicrosecond = 1000;
constexpr int kLooksOfATrial = 8;
constexpr int kFirstTrial = 32;
constexpr int kRarestTrial = 4096;
int failures = 0;

void expect(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "not so: %s\n", what);
  failures++;
}

// How many waits pass without a look until there is one.
int waits_until_look(BusyPoll& poll) {
  int waits = 0;
  while (poll.window_ns(0) == 0 && waits <= 2 * kRarestTrial) waits++;
  return waits;
}

// Looks as long as it likes to, and finds nothing.
int misses_until_rest(BusyPoll& poll) {
  int misses = 0;
  while (misses < 1000 && poll.window_ns(0) > 0) {
    poll.looked(100 * kMicrosecond, false);
    misses++;
  }
  return misses;
}

}  // namespace

int main() {
  BusyPoll off(false, 0);
  expect(off.window_ns(0) == 0, "off never looks");

  BusyPoll fixed(false, 30);
  for (int i = 0; i < 1000; i++) fixed.looked(30 * kMicrosecond, false);
  expect(fixed.window_ns(0) == 30 * kMicrosecond, "a fixed window stays, whatever comes of it");

  BusyPoll poll(true, 100);
  expect(poll.window_ns(0) == 100 * kMicrosecond, "auto looks from the start");
  expect(misses_until_rest(poll) < 20, "auto rests soon where nothing is found");

  // The rest has begun with the wait that ended misses_until_rest.
  int waits = waits_until_look(poll) + 1;
  for (int every = kFirstTrial; every <= kRarestTrial; every *= 2) {
    expect(waits == every - 1, "trials are twice as far apart each time that they fail");
    // The look of waits_until_look is the first of the trial.
    for (int look = 0; look < kLooksOfATrial; look++) {
      if (look > 0) expect(poll.window_ns(0) > 0, "a trial has eight looks");
      poll.looked(100 * kMicrosecond, false);
    }
    waits = waits_until_look(poll);
  }
  expect(waits == kRarestTrial - 1, "trials are never further apart than that");

  // A client that is slow to wake up after both have slept: late at first, then soon.
  poll.looked(100 * kMicrosecond, false);
  poll.looked(90 * kMicrosecond, true);
  for (int look = 2; look < kLooksOfATrial; look++) poll.looked(20 * kMicrosecond, true);
  bool looks = true;
  for (int i = 0; i < 100; i++) {
    looks = looks && poll.window_ns(0) > 0;
    poll.looked(20 * kMicrosecond, true);
  }
  expect(looks, "a trial that finds events soon ends the rest");
  poll.looked(100 * kMicrosecond, false);
  expect(poll.window_ns(0) > 0, "one miss among many hits changes nothing");

  expect(misses_until_rest(poll) < 20, "auto rests again where nothing is found any more");
  expect(waits_until_look(poll) + 1 == kFirstTrial - 1, "after good times the next trial comes soon");
  return failures == 0 ? 0 : 1;
}
