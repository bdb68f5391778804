#include "memory.h"

#include <sys/mman.h>

#include <cerrno>

namespace aionbd {

namespace {
constexpr size_t kPageBytes = 4096;
constexpr size_t kHugePageBytes = size_t{2} << 20;

size_t round_up(size_t value, size_t unit) {
  return (value + unit - 1) / unit * unit;
}
}  // namespace

std::shared_ptr<Memory> Memory::allocate(size_t bytes) {
  const size_t unit = bytes >= kHugePageBytes ? kHugePageBytes : kPageBytes;
  const size_t mapped = round_up(bytes, unit);
  // Map one unit more than is needed and give back what lies outside of the aligned part.
  const size_t reserve = mapped + unit - kPageBytes;
  void* raw = mmap(nullptr, reserve, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (raw == MAP_FAILED) return nullptr;
  const uintptr_t start = reinterpret_cast<uintptr_t>(raw);
  const uintptr_t aligned = round_up(start, unit);
  if (aligned > start) munmap(raw, aligned - start);
  const uintptr_t end = start + reserve;
  if (end > aligned + mapped) munmap(reinterpret_cast<void*>(aligned + mapped), end - aligned - mapped);

  uint8_t* data = reinterpret_cast<uint8_t*>(aligned);
  // Fewer page-table entries to pin for each direct I/O; only advice, so its failure does not matter.
  if (unit == kHugePageBytes) madvise(data, mapped, MADV_HUGEPAGE);
  // A fork while the disk writes into this memory would leave parent and kernel with different copies.
  madvise(data, mapped, MADV_DONTFORK);
  return std::shared_ptr<Memory>(new Memory(data, bytes, mapped));
}

int Memory::release(double offset, double bytes) {
  if (!(offset >= 0 && bytes >= 0 && offset + bytes <= static_cast<double>(size_))) return -EFAULT;
  const size_t start = round_up(static_cast<size_t>(offset), kPageBytes);
  const size_t end = static_cast<size_t>(offset + bytes) / kPageBytes * kPageBytes;
  if (end <= start) return 0;
  return madvise(data_ + start, end - start, MADV_DONTNEED) == 0 ? 0 : -errno;
}

int Memory::allow_huge_pages(double offset, double bytes, bool allowed) {
  if (mapped_ < kHugePageBytes) return 0;
  if (!(offset >= 0 && bytes >= 0 && offset + bytes <= static_cast<double>(mapped_))) return -EFAULT;
  const size_t start = round_up(static_cast<size_t>(offset), kHugePageBytes);
  const size_t end = static_cast<size_t>(offset + bytes) / kHugePageBytes * kHugePageBytes;
  if (end <= start) return 0;
  const int advice = allowed ? MADV_HUGEPAGE : MADV_NOHUGEPAGE;
  return madvise(data_ + start, end - start, advice) == 0 ? 0 : -errno;
}

Memory::~Memory() {
  munmap(data_, mapped_);
}

}  // namespace aionbd
