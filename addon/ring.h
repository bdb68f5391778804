// The layout of the two arrays that TypeScript and the addon share. src/engine/ring.ts is the other half: the
// numbers there and here must agree, and test/addon checks them against each other.
#pragma once

#include <cstddef>
#include <cstdint>

namespace aionbd {

enum class Op : uint32_t {
  kNone = 0,
  kRead = 1,     // file → memory
  kWrite = 2,    // memory → file
  kSync = 3,     // fdatasync
  kTrim = 4,     // give blocks back; contents undefined afterwards
  kZero = 5,     // make a range read as zeroes
  kAdvise = 6,   // read ahead into the page cache
  kRecv = 7,     // connection → memory, up to `length` (+ `aux_length`) bytes
  kSend = 8,     // `aux` (a header) and then `buffer` → connection
  kAccept = 9,   // one connection from a listener; result is its number
  kClose = 10,   // close a connection; what was queued on it completes with -ECANCELED first
  kCancel = 11,  // give up the I/O with this tag if it has not started; has no completion of its own
  // Which parts of a range hold data: an Extent each to `buffer`, in their order and without gaps, at most
  // `aux_length` bytes of them; result is their number. They may end before the range, if there is no more
  // room.
  kExtents = 12,
  // Give up the armed receive of a connection: that completes with -ECANCELED and has brought nothing. No
  // completion of its own; nothing happens where none is armed (it may just have completed).
  kDisarm = 13,
  // Write what is dirty of a range (of the whole file, if `length` is 0) and wait until it is written. Makes
  // nothing durable: the device's cache and the file's extents stay as they are.
  kWriteBack = 14,
};

// Flags of kWrite, kTrim and kZero: complete only when the change is on stable storage.
inline constexpr uint32_t kFlagDurable = 1u << 0;
// Flag of kZero: the range may lose its blocks. Without it the blocks stay allocated.
inline constexpr uint32_t kFlagMayPunch = 1u << 1;
// Flag of kZero: -EOPNOTSUPP, and nothing changed, where zeroes would have to be written like data.
inline constexpr uint32_t kFlagFast = 1u << 2;

struct Submission {
  uint32_t op;
  uint32_t flags;
  int32_t target;     // file, connection or listener, as numbered by the addon
  uint32_t tag;       // comes back with the completion
  double buffer;      // offset into memory, bytes
  double length;      // bytes
  double offset;      // position in the file, bytes
  double aux_buffer;  // kSend: header in front of the data; kRecv: where bytes past `length` go
  double aux_length;
  double reserved;
};
static_assert(sizeof(Submission) == 64, "one cache line; src/engine/ring.ts counts on it");

// What kExtents finds.
struct Extent {
  double length;  // bytes, above 0
  double kind;    // kExtentData or kExtentHole
};
static_assert(sizeof(Extent) == 16, "src/engine/ring.ts counts on it");
inline constexpr double kExtentData = 0;
// No blocks are written there, and it reads as zeroes.
inline constexpr double kExtentHole = 1;

struct Completion {
  uint32_t op;
  uint32_t tag;
  double result;  // bytes moved or an object's number; a negative errno on failure
};
static_assert(sizeof(Completion) == 16, "src/engine/ring.ts counts on it");

}  // namespace aionbd
