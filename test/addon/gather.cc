// Walks the policies of gather.h; says what is wrong on stderr.
#include "../../addon/gather.h"

#include <cstdio>

using aionbd::InTime;
using aionbd::LowWater;

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
  LowWater water;
  expect(water.mark() == 0, "there is no mark at first");
  expect(look(water, 100 * KiB) && water.mark() == 75 * KiB, "the first look sets one, at three quarters");
  int sets = 0;
  for (int i = 0; i < kLooks; i++) sets += look(water, i == 3 ? 160 * KiB : 120 * KiB);
  expect(sets == 1 && water.mark() == 120 * KiB, "then it follows the longest of many");
  sets = 0;
  for (int i = 0; i < 10 * kLooks; i++) sets += look(water, (i % 2 == 0 ? 160 : 150) * KiB);
  expect(sets == 0, "it stays where the queue stays");
  for (int i = 0; i < 10 * kLooks; i++) sets += look(water, 165 * KiB);
  expect(sets == 0, "a small change is not worth a system call");
  for (int i = 0; i < 2 * kLooks; i++) sets += look(water, 100 * KiB);
  expect(sets == 1 && water.mark() == 75 * KiB, "it falls with the queue");
  for (int i = 0; i < 2 * kLooks; i++) look(water, 8192 * KiB);
  expect(water.mark() == (8192 - 96) * KiB, "of a long queue no more is to be read than of a short one");
}

void be_in_time() {
  constexpr uint64_t kMillisecond = 1'000'000;
  InTime in_time;
  uint64_t now = 1000 * kMillisecond;
  expect(in_time.may_wait(now), "it waits from the start");
  for (int i = 0; i < 1000; i++) in_time.woke(now, i % 10 == 0);
  expect(in_time.may_wait(now), "being late now and then changes nothing");
  int late = 0;
  while (in_time.may_wait(now) && late < 100) {
    in_time.woke(now, true);
    late++;
  }
  expect(late > 1 && late < 20, "being late again and again ends it");
  expect(!in_time.may_wait(now + 9 * kMillisecond), "for ten milliseconds");
  now += 10 * kMillisecond;
  expect(in_time.may_wait(now), "and no longer");
  while (in_time.may_wait(now)) in_time.woke(now, true);
  expect(!in_time.may_wait(now + 19 * kMillisecond), "twice as long the next time");
  expect(in_time.may_wait(now + 20 * kMillisecond), "and no longer than that");
}

}  // namespace

int main() {
  follow();
  be_in_time();
  return failures == 0 ? 0 : 1;
}
