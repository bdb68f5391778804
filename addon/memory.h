// One aligned block of memory that lives as long as anyone (the reactor, or a JavaScript view) refers to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace aionbd {

class Memory {
 public:
  // Null when the kernel has no room. `bytes` is rounded up to whole huge pages for blocks of that size or
  // more.
  static std::shared_ptr<Memory> allocate(size_t bytes);
  ~Memory();

  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  // Gives the whole pages of a range back to the system; they read as zeroes when they are used again.
  // Nothing may be at work on them. 0 or a negative errno.
  int release(double offset, double bytes);

  // Whether the kernel (its khugepaged) may make huge pages of these whole ones, filling up what is not used
  // of them. 0 or a negative errno; nothing happens where the block is too small to have any.
  int allow_huge_pages(double offset, double bytes, bool allowed);

  uint8_t* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  Memory(uint8_t* data, size_t size, size_t mapped) : data_(data), size_(size), mapped_(mapped) {}

  uint8_t* data_;
  size_t size_;
  size_t mapped_;
};

}  // namespace aionbd
