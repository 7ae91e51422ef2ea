#include "cmd/host.h"

#include <alloca.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <new>
#include <system_error>

#include "lib/base/ending.h"

namespace roundel::cmd {
namespace {

size_t machine_bytes = 0;

[[noreturn]] void EndWithoutThread() {
  EndProcess(1,
             {"error: out of memory: no further thread can be started; lower --threads, or raise "
              "the limit of the process\n"});
}

// For exceptions that cannot be caught, such as one that would leave a parallel region.
[[noreturn]] void OnTerminate() {
  if (!std::current_exception()) std::abort();
  try {
    throw;
  } catch (const std::bad_alloc&) {
    EndOutOfMemory();
  } catch (const std::system_error& e) {
    if (e.code() == std::errc::resource_unavailable_try_again) EndWithoutThread();
    EndProcess(1, {"error: unexpected: ", e.what(), "\n"});
  } catch (const std::exception& e) {
    EndProcess(1, {"error: unexpected: ", e.what(), "\n"});
  } catch (...) {
    std::abort();
  }
}

// Under a limit of the address space the stack cannot grow when the rest is used up, which would be
// a segmentation fault. So it is grown at the start.
void GrowStack() {
  constexpr size_t kBytes = 1 << 20, kPage = 4096;
  auto* stack = static_cast<volatile char*>(alloca(kBytes));
  for (size_t i = 0; i < kBytes; i += kPage) stack[i] = 0;
}

}  // namespace

void PrepareHost() {
  // A file that is opened later must not become standard output.
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd)
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd) break;
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  if (pages > 0 && page > 0) machine_bytes = static_cast<size_t>(pages) * static_cast<size_t>(page);
  GrowStack();
  std::set_terminate(OnTerminate);
}

StandardOutput::StandardOutput() { setp(buffer_, buffer_ + sizeof buffer_); }

StandardOutput::int_type StandardOutput::overflow(int_type c) {
  if (sync() != 0) return traits_type::eof();
  if (!traits_type::eq_int_type(c, traits_type::eof())) sputc(traits_type::to_char_type(c));
  return traits_type::not_eof(c);
}

int StandardOutput::sync() {
  const char* from = pbase();
  while (from < pptr() && !reader_gone_) {
    const ssize_t written = write(STDOUT_FILENO, from, static_cast<size_t>(pptr() - from));
    if (written > 0) from += written;
    if (written >= 0 || errno == EINTR) continue;
    if (errno != EPIPE) return -1;
    reader_gone_ = true;
  }
  setp(buffer_, buffer_ + sizeof buffer_);
  return 0;
}

}  // namespace roundel::cmd

// Sanitizers have their own allocator.
#if !defined(__SANITIZE_ADDRESS__)

// Most code that allocates here (parallel loops, codecs, the OpenMP runtime) cannot report in one
// line that memory is exhausted: some would report a damaged image instead, some abort. Therefore
// the process ends here, where all allocations pass. glibc provides its own functions under these
// names for programs that replace the public ones.
extern "C" {
void* __libc_malloc(size_t size);                      // NOLINT: reserved names
void* __libc_calloc(size_t count, size_t size);        // NOLINT
void* __libc_realloc(void* memory, size_t size);       // NOLINT
void* __libc_memalign(size_t alignment, size_t size);  // NOLINT
}

namespace {

// A size that no machine of this kind could provide is an error of the model or file that requests
// it, which the callers handle.
void* Checked(void* memory, size_t size) {
  const bool absurd = roundel::cmd::machine_bytes > 0 && size > roundel::cmd::machine_bytes;
  if (memory == nullptr && size > 0 && !absurd) roundel::EndOutOfMemory();
  return memory;
}

}  // namespace

extern "C" {

void* malloc(size_t size) noexcept { return Checked(__libc_malloc(size), size); }
void* calloc(size_t count, size_t size) noexcept {
  size_t bytes = 0;
  if (__builtin_mul_overflow(count, size, &bytes)) bytes = SIZE_MAX;
  return Checked(__libc_calloc(count, size), bytes);
}
void* realloc(void* memory, size_t size) noexcept {
  return Checked(__libc_realloc(memory, size), size);
}
void* memalign(size_t alignment, size_t size) noexcept {
  return Checked(__libc_memalign(alignment, size), size);
}
void* aligned_alloc(size_t alignment, size_t size) noexcept { return memalign(alignment, size); }
int posix_memalign(void** memory, size_t alignment, size_t size) noexcept {
  if (alignment % sizeof(void*) != 0 || (alignment & (alignment - 1)) != 0 || alignment == 0)
    return EINVAL;
  void* taken = memalign(alignment, size);
  if (taken == nullptr && size > 0) return ENOMEM;
  *memory = taken;
  return 0;
}

// Code generators would use a null pointer instead.
void* mmap(void* address, size_t size, int protection, int flags, int fd, off_t offset) noexcept {
  const long result = syscall(SYS_mmap, address, size, protection, flags, fd, offset);
  const bool absurd = roundel::cmd::machine_bytes > 0 && size > roundel::cmd::machine_bytes;
  if (result == -1 && errno == ENOMEM && !absurd) roundel::EndOutOfMemory();
  return reinterpret_cast<void*>(result);
}
void* mmap64(void* address, size_t size, int protection, int flags, int fd, off_t offset) noexcept {
  return mmap(address, size, protection, flags, fd, offset);
}

// If a thread cannot be started, the OpenMP runtime ends the process with its own message, and
// std::thread throws where nothing catches.
int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*run)(void*),
                   void* argument) noexcept {
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto create = reinterpret_cast<Create>(dlsym(RTLD_NEXT, "pthread_create"));
  const int error = create(thread, attributes, run, argument);
  if (error == EAGAIN || error == ENOMEM) roundel::cmd::EndWithoutThread();
  return error;
}

}  // extern "C"

#endif
