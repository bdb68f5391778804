// What an epoll event belongs to: a kind in the upper half of its data, a number of that kind in the lower.
#pragma once

#include <cstdint>

namespace aionbd {

enum class Source : uint32_t { kAio, kWake, kListener, kConnection };

inline uint64_t key_of(Source source, int number) {
  return static_cast<uint64_t>(source) << 32 | static_cast<uint32_t>(number);
}

}  // namespace aionbd
