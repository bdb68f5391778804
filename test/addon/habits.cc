// Walks what the reactor learns of a file (io.h) through good and bad times; says what is wrong on stderr.
#include <cstdio>

#include "../../addon/io.h"

using aionbd::Blocking;
using aionbd::Promptness;

namespace {

int failures = 0;

void expect(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "not so: %s\n", what);
  failures++;
}

// How many have to be complete at once until there are no signals.
int until_quiet(Promptness& file) {
  int count = 0;
  for (; file.wants_signals() && count < 1'000'000; count++) file.ended(true, true);
  return count;
}

void be_prompt() {
  Promptness file;
  expect(file.wants_signals(), "a file has signals at first");
  for (int i = 0; i < 255; i++) file.ended(true, true);
  expect(file.wants_signals(), "and until 256 in a row were complete at once");
  file.ended(false, true);
  expect(until_quiet(file) == 256, "one that was late begins the row anew");
  for (int i = 0; i < 1000; i++) file.ended(true, false);
  expect(!file.wants_signals(), "then there are none");
  for (int i = 0; i < 32; i++) file.ended(false, false);
  expect(file.wants_signals(), "until one was late");
  expect(until_quiet(file) == 512, "a batch of late ones counts once");
  for (int wanted = 1024; wanted <= 65536; wanted *= 2) {
    file.ended(false, false);
    expect(until_quiet(file) == wanted, "each further one doubles the row");
  }
  file.ended(false, false);
  expect(until_quiet(file) == 65536, "which has an end");
}

int asked_of(Blocking& file, int writes, bool would_block) {
  int asked = 0;
  for (int i = 0; i < writes; i++) {
    if (!file.asks()) continue;
    asked++;
    file.answered(would_block);
  }
  return asked;
}

void ask() {
  Blocking file;
  expect(file.asks(), "a file is asked at first");
  file.answered(true);
  expect(asked_of(file, 100, false) == 100, "and still after a write that would block");
  expect(asked_of(file, 32, true) < 10, "not where many do");
  expect(asked_of(file, 1600, true) == 100, "but for every 16th");
  asked_of(file, 1000, false);
  expect(asked_of(file, 100, false) == 100, "and again when they block no more");
}

}  // namespace

int main() {
  be_prompt();
  ask();
  return failures == 0 ? 0 : 1;
}
