// What CUDA C needs to run on a CPU, for tests: the threads of a block are fibers, run in turn, and one
// block comes after the other. A barrier that not all threads reach is found as a deadlock.

#include <math.h>
#include <string.h>
#include <ucontext.h>

#include <utility>
#include <vector>

#define RTFUNC_HOST
#define __device__ static
#define __global__
#define __shared__ static
#define __launch_bounds__(threads)

struct Position {
  unsigned x, y, z;
};
static Position threadIdx, blockIdx, blockDim, gridDim;

enum State { ready, at_block_barrier, at_warp_barrier, done };
struct Fiber {
  ucontext_t context;
  std::vector<char> stack;
  State state;
  Position thread;
};
static std::vector<Fiber> fibers;
static ucontext_t scheduler;
static unsigned current;
static void (*body)(void **);
static void **arguments;
static char lanes[1024][8];

static void wait_at(State barrier) {
  fibers[current].state = barrier;
  swapcontext(&fibers[current].context, &scheduler);
}
static void __syncthreads() { wait_at(at_block_barrier); }

template <class T> static T from_lane(T x, int other, int width) {
  const unsigned mine = current;
  memcpy(lanes[mine], &x, sizeof x);
  wait_at(at_warp_barrier);
  T y;
  memcpy(&y, lanes[(mine & ~(width - 1)) | ((mine & (width - 1)) ^ other)], sizeof y);
  wait_at(at_warp_barrier);
  return y;
}

static float from_float16(unsigned short x) {
  _Float16 y;
  memcpy(&y, &x, 2);
  return (float)y;
}
static unsigned short to_float16(float x) {
  _Float16 y = (_Float16)x;
  unsigned short bits;
  memcpy(&bits, &y, 2);
  return bits;
}

static int __popc(unsigned x) { return __builtin_popcount(x); }
static int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
static int __clzll(long long x) { return x ? __builtin_clzll((unsigned long long)x) : 64; }
static double sinpi(double x) { return sin(M_PI * fmod(x, 2.0)) * (fmod(x, 1.0) != 0); }
static double cospi(double x) { return cos(M_PI * fmod(x, 2.0)); }
static double erfinv(double y) {  // Newton's method from an approximation by S. Winitzki
  if (!(fabs(y) < 1)) return fabs(y) == 1 ? copysign(INFINITY, y) : NAN;
  const double l = log1p(-y * y), a = 2 / (M_PI * 0.147) + l / 2;
  double x = copysign(sqrt(sqrt(a * a - l / 0.147) - a), y);
  for (int i = 0; i < 4; ++i) x -= (erf(x) - y) / (2 / sqrt(M_PI) * exp(-x * x));
  return x;
}
static float erfinvf(float y) { return (float)erfinv((double)y); }

template <class... A, size_t... I>
static void call(void (*kernel)(A...), void **given, std::index_sequence<I...>) {
  kernel((A)given[I]...);
}
template <class... A> static void call(void (*kernel)(A...), void **given) {
  call(kernel, given, std::index_sequence_for<A...>());
}

static void start() {
  body(arguments);
  fibers[current].state = done;
  swapcontext(&fibers[current].context, &scheduler);
}

// Whether a block has ended; false where its threads wait for each other for ever.
static bool run_block() {
  const unsigned count = fibers.size();
  for (unsigned t = 0; t < count; ++t) {
    Fiber &fiber = fibers[t];
    getcontext(&fiber.context);
    fiber.stack.resize(1 << 16);
    fiber.context.uc_stack.ss_sp = fiber.stack.data();
    fiber.context.uc_stack.ss_size = fiber.stack.size();
    fiber.context.uc_link = nullptr;
    fiber.state = ready;
    fiber.thread = {t % blockDim.x, t / blockDim.x % blockDim.y, t / blockDim.x / blockDim.y};
    makecontext(&fiber.context, start, 0);
  }
  while (true) {
    bool moved = false;
    for (unsigned t = 0; t < count; ++t) {
      if (fibers[t].state != ready) continue;
      moved = true;
      current = t;
      threadIdx = fibers[t].thread;
      swapcontext(&scheduler, &fibers[t].context);
    }
    unsigned finished = 0, at_barrier = 0;
    for (const Fiber &fiber : fibers) {
      finished += fiber.state == done;
      at_barrier += fiber.state == at_block_barrier;
    }
    if (finished == count) return true;
    bool released = false;
    if (at_barrier == count) {
      for (Fiber &fiber : fibers) fiber.state = ready;
      released = true;
    }
    for (unsigned w = 0; w < count; w += 32) {
      bool all = true;
      for (unsigned t = w; t < w + 32 && t < count; ++t) all &= fibers[t].state == at_warp_barrier;
      if (!all) continue;
      for (unsigned t = w; t < w + 32 && t < count; ++t) fibers[t].state = ready;
      released = true;
    }
    if (!moved && !released) return false;
  }
}

static bool run_grid(void (*kernel)(void **), void **given, const unsigned *grid, const unsigned *block) {
  body = kernel;
  arguments = given;
  gridDim = {grid[0], grid[1], grid[2]};
  blockDim = {block[0], block[1], block[2]};
  fibers.resize(block[0] * block[1] * block[2]);
  for (unsigned y = 0; y < grid[1]; ++y) {
    for (unsigned x = 0; x < grid[0]; ++x) {
      blockIdx = {x, y, 0};
      if (!run_block()) return false;
    }
  }
  return true;
}
