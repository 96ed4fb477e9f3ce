// floor dump -t PID -D DIR | floor restore -D DIR: what the kernel takes by itself.
//
// Makes the system calls that such a dump cannot do without, and nothing else: nothing is checked, encoded or prepared for
// the case that something fails, and what it writes is no image. No dump on this machine is faster than this one. Restored
// is only what one process has open. Two threads copy what is large, one does the rest.
#define _GNU_SOURCE
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef PAGEMAP_SCAN
struct page_region {
  uint64_t start, end, categories;
};
struct pm_scan_arg {
  uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
  uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define PAGEMAP_SCAN _IOWR('f', 16, struct pm_scan_arg)
#endif
#define SCAN_PRESENT (1 << 3)
#define SCAN_FILE (1 << 2)
#define GET_RSEQ_CONFIGURATION 0x420f
#define TASKS 4096
#define FILES 4096
#define LARGE (64L << 20)
#define WINDOW (1 << 20)

struct task {
  int pid, tid, first;
  struct user_regs_struct registers;
};
static struct task tasks[TASKS];
static int count;
static const char *dir;
static char image[4096];

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static char *path(const char *format, ...) {
  static char text[8][512];
  static int next;
  char *made = text[next++ % 8];
  va_list args;
  va_start(args, format);
  vsnprintf(made, sizeof text[0], format, args);
  va_end(args);
  return made;
}

// Reads a small file to its end.
static long slurp(const char *name, char *into, long size) {
  int fd = open(name, O_RDONLY);
  if (fd < 0) return 0;
  long got, all = 0;
  while ((got = read(fd, into + all, size - 1 - all)) > 0) all += got;
  into[all] = 0;
  close(fd);
  return all;
}

static void write_image(const char *name, long size) {
  int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (fd < 0 || write(fd, image, size) != size) fail(name);
  close(fd);
}

static void stop(int from) {
  int status;
  for (int i = from; i < count; i++) {
    if (ptrace(PTRACE_SEIZE, tasks[i].tid, 0, 0) != 0) fail("seize");
    ptrace(PTRACE_INTERRUPT, tasks[i].tid, 0, 0);
  }
  for (int i = from; i < count; i++) waitpid(tasks[i].tid, &status, __WALL);
}

static void add_threads(int pid) {
  int first = count;
  DIR *listing = opendir(path("/proc/%d/task", pid));
  if (listing == NULL) fail("task");
  for (struct dirent *each; (each = readdir(listing)) != NULL;)
    if (each->d_name[0] != '.' && count < TASKS)
      tasks[count++] = (struct task){.pid = pid, .tid = atoi(each->d_name)};
  closedir(listing);
  tasks[first].first = 1;
}

// The tree, stopped: a generation, then the children of all its threads.
static void freeze(int root) {
  static char text[1 << 16];
  add_threads(root);
  for (int from = 0; from < count;) {
    int end = count;
    stop(from);
    for (; from < end; from++) {
      slurp(path("/proc/%d/task/%d/children", tasks[from].pid, tasks[from].tid), text, sizeof text);
      for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " ")) add_threads(atoi(word));
    }
  }
}

static void look_at(struct task *task) {
  static char extended[8192], text[8192], info[128];
  struct iovec registers = {&task->registers, sizeof task->registers}, state = {extended, sizeof extended};
  struct __ptrace_peeksiginfo_args first = {0, 0, 1};
  uint64_t mask;
  long head, length;
  ptrace(PTRACE_GETREGSET, task->tid, NT_PRSTATUS, &registers);
  ptrace(PTRACE_GETREGSET, task->tid, NT_X86_XSTATE, &state);
  ptrace(PTRACE_GETSIGMASK, task->tid, 8, &mask);
  ptrace(GET_RSEQ_CONFIGURATION, task->tid, 24, info);
  ptrace(PTRACE_PEEKSIGINFO, task->tid, &first, info);
  syscall(SYS_get_robust_list, task->tid, &head, &length);
  slurp(path("/proc/%d/task/%d/status", task->pid, task->tid), text, sizeof text);
}

// One system call inside: the last one's instruction, with another number.
static void call_inside(struct task *task) {
  struct user_regs_struct registers = task->registers;
  struct iovec vector = {&registers, sizeof registers};
  uint64_t all = ~0ul;
  registers.orig_rax = -1;
  registers.rax = SYS_getpid;
  registers.rip -= 2;
  ptrace(PTRACE_SETREGSET, task->tid, NT_PRSTATUS, &vector);
  ptrace(PTRACE_SETSIGMASK, task->tid, 8, &all);
  ptrace(PTRACE_SINGLESTEP, task->tid, 0, 0);
}

static void end_call(struct task *task) {
  int status;
  struct user_regs_struct registers;
  struct iovec vector = {&registers, sizeof registers};
  waitpid(task->tid, &status, __WALL);
  ptrace(PTRACE_GETREGSET, task->tid, NT_PRSTATUS, &vector);
}

static int descriptors(int pid, FILE *list) {
  int found = 0, pidfd = syscall(SYS_pidfd_open, pid, 0);
  DIR *listing = opendir(path("/proc/%d/fd", pid));
  if (listing == NULL) fail("fd");
  for (struct dirent *each; (each = readdir(listing)) != NULL;) {
    if (each->d_name[0] == '.') continue;
    struct statx status;
    char link[512];
    int number = atoi(each->d_name), fd = syscall(SYS_pidfd_getfd, pidfd, number, 0);
    statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &status);
    int flags = fcntl(fd, F_GETFL);
    long offset = lseek(fd, 0, SEEK_CUR), length = readlink(path("/proc/%d/fd/%d", pid, number), link, sizeof link - 1);
    if (list != NULL && length > 0 && S_ISREG(status.stx_mode))
      fprintf(list, "%d %d %ld %.*s\n", number, flags, offset, (int)length, link);
    close(fd);
    found++;
  }
  closedir(listing);
  close(pidfd);
  return found;
}

struct copy {
  const struct page_region *regions;
  long count, at;
  int memory, pages;
};

// Copies regions into the file of pages.
static void *copy(void *argument) {
  struct copy *job = argument;
  char *window = malloc(WINDOW);
  for (long i = 0; i < job->count; i++)
    for (uint64_t from = job->regions[i].start; from < job->regions[i].end;) {
      uint64_t left = job->regions[i].end - from, size = left < WINDOW ? left : WINDOW;
      if (pread(job->memory, window, size, from) != (long)size) fail("mem");
      if (pwrite(job->pages, window, size, job->at) != (long)size) fail("pages");
      from += size;
      job->at += size;
    }
  free(window);
  return NULL;
}

// Present pages that are no file's. Gives their bytes.
static long memory(int pid) {
  static struct page_region regions[65536];
  int map = open(path("/proc/%d/pagemap", pid), O_RDONLY), mem = open(path("/proc/%d/mem", pid), O_RDONLY);
  int pages = open(path("%s/pages-%d", dir, pid), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  struct pm_scan_arg scan = {.size = sizeof scan,
                             .end = 0x7ffffffff000,
                             .vec = (uint64_t)regions,
                             .vec_len = sizeof regions / sizeof regions[0] - 2,
                             .category_inverted = SCAN_FILE,
                             .category_mask = SCAN_PRESENT | SCAN_FILE,
                             .return_mask = SCAN_PRESENT};
  long found = ioctl(map, PAGEMAP_SCAN, &scan), total = 0, half = 0, size = 0;
  if (found < 0 || mem < 0 || pages < 0) fail("memory");
  for (long i = 0; i < found; i++) total += regions[i].end - regions[i].start;
  struct copy first = {regions, found, 0, mem, pages}, second = first;
  pthread_t thread;
  if (total > LARGE) {
    for (; size + (long)(regions[half].end - regions[half].start) < total / 2; half++)
      size += regions[half].end - regions[half].start;
    // The region in the middle is parted.
    long rest = (total / 2 - size) & -4096;
    memmove(regions + half + 2, regions + half + 1, (found - half - 1) * sizeof regions[0]);
    regions[half + 1] = (struct page_region){regions[half].start + rest, regions[half].end, 0};
    regions[half].end = regions[half].start + rest;
    first.count = half + 1;
    second = (struct copy){regions + half + 1, found - half, size + rest, mem, pages};
    if (pthread_create(&thread, NULL, copy, &second) != 0) fail("thread");
  }
  copy(&first);
  if (total > LARGE) pthread_join(thread, NULL);
  close(map);
  close(mem);
  close(pages);
  return total;
}

static void dump(int root) {
  static char text[1 << 20];
  static long sizes[TASKS];
  FILE *list = fopen(path("%s/list", dir), "w");
  int status;
  if (list == NULL) fail("list");
  fprintf(list, "%d\n", root);
  freeze(root);
  for (int i = 0; i < count; i++) look_at(&tasks[i]);
  for (int i = 0; i < count; i++) call_inside(&tasks[i]);
  for (int i = 0; i < count; i++) end_call(&tasks[i]);
  for (int i = 0; i < count; i++) {
    int pid = tasks[i].pid;
    write_image(path("%s/core-%d", dir, tasks[i].tid), 1500);
    if (!tasks[i].first) continue;
    slurp(path("/proc/%d/smaps", pid), text, sizeof text);
    slurp(path("/proc/%d/stat", pid), text, sizeof text);
    int files = descriptors(pid, pid == root ? list : NULL);
    sizes[i] = memory(pid);
    write_image(path("%s/mm-%d", dir, pid), 2000);
    write_image(path("%s/pagemap-%d", dir, pid), 200);
    write_image(path("%s/fdinfo-%d", dir, pid), files < 200 ? files * 12 + 4 : 2400);
    write_image(path("%s/fs-%d", dir, pid), 20);
    write_image(path("%s/ids-%d", dir, pid), 40);
  }
  fclose(list);
  for (int i = 0; i < count; i++)
    if (tasks[i].first) kill(tasks[i].pid, SIGKILL);
  for (int i = 0; i < count; i++)
    if (sizes[i] > LARGE / 2) {
      int pidfd = syscall(SYS_pidfd_open, tasks[i].pid, 0);
      syscall(SYS_process_mrelease, pidfd, 0);
      close(pidfd);
    }
  // The first thread of a process is there until the others are gone.
  for (int i = 0; i < count; i++)
    if (!tasks[i].first) waitpid(tasks[i].tid, &status, __WALL);
  for (int i = 0; i < count; i++)
    if (tasks[i].first) waitpid(tasks[i].tid, &status, __WALL);
}

static void restore(void) {
  static struct {
    int number, flags;
    long offset;
    char name[512];
  } files[FILES];
  int pid, found = 0, ready[2];
  FILE *list = fopen(path("%s/list", dir), "r");
  if (list == NULL || fscanf(list, "%d", &pid) != 1 || pipe(ready) != 0) fail("list");
  while (found < FILES && fscanf(list, "%d %d %ld %511[^\n]", &files[found].number, &files[found].flags,
                                 &files[found].offset, files[found].name) == 4)
    found++;
  fclose(list);
  struct clone_args args = {.exit_signal = SIGCHLD, .set_tid = (uint64_t)&pid, .set_tid_size = 1};
  long child = syscall(SYS_clone3, &args, sizeof args);
  if (child < 0) fail("clone3");
  if (child > 0) {
    char byte;
    close(ready[1]);
    if (read(ready[0], &byte, 1) != 1) fail("the child");
    return;
  }
  int keep = FILES + 1, last = -1;
  dup3(ready[1], keep, O_CLOEXEC);
  close_range(0, keep - 1, 0);
  setsid();
  for (int i = 0; i < found; i++) {
    struct statx status;
    // What is not in the list is something else, which has to have its number.
    for (last++; last < files[i].number; last++) dup3(keep, last, O_CLOEXEC);
    int fd = open(files[i].name, files[i].flags);
    statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &status);
    lseek(fd, files[i].offset, SEEK_SET);
    if (fd != files[i].number) fail("its number");
  }
  if (write(keep, "", 1) != 1) fail("ready");
  close(keep);
  for (;;) pause();
}

int main(int argc, char **argv) {
  int root = 0, option;
  struct rlimit files = {2 * FILES, 2 * FILES};
  if (argc < 2) return 2;
  optind = 2;
  while ((option = getopt(argc, argv, "t:D:o:d")) != -1) {
    if (option == 't') root = atoi(optarg);
    if (option == 'D') dir = optarg;
  }
  setrlimit(RLIMIT_NOFILE, &files);
  if (strcmp(argv[1], "dump") == 0) dump(root);
  else restore();
  return 0;
}
