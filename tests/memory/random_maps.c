/*
 * random_maps SEED DIRECTORY: makes, changes and touches mappings of all kinds at random, forks a few times in between,
 * then writes DIRECTORY/ready.PID in each process and sleeps. What it looks like is for tests/memory.test.ts to see.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096ul
#define FILE_PAGES 100
#define MADV_GUARD_INSTALL_ 102

struct region {
	char *start;
	size_t pages;
	bool touchable;
};

static struct region regions[1000];
static int region_count;
static uint64_t state;
static const char *directory;
static sigjmp_buf fault;

static unsigned below(unsigned limit)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 20) % limit;
}

static void on_fault(int signal)
{
	(void)signal;
	siglongjmp(fault, 1);
}

/* Writes to some pages, reads some, leaves the others. */
static void touch(char *start, size_t pages, int prot)
{
	for (volatile size_t i = 0; i < pages; i++) {
		char *page = start + i * PAGE;

		if (sigsetjmp(fault, 1))
			continue; /* a guard, or behind the end of a file */
		switch (below(4)) {
		case 0:
			for (int k = 0; (prot & PROT_WRITE) && k < 8; k++)
				page[below(PAGE)] = below(256);
			break;
		case 1:
			if (prot & PROT_READ)
				(void)*(volatile char *)page;
		}
	}
}

static int open_file(void)
{
	char name[600], bytes[64];
	int fd;

	snprintf(name, sizeof(name), "%s/file%u", directory, below(6));
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || ftruncate(fd, FILE_PAGES * PAGE) < 0)
		abort();
	memset(bytes, below(256), sizeof(bytes));
	if (pwrite(fd, bytes, sizeof(bytes), below(FILE_PAGES) * PAGE) < 0)
		abort();
	return fd;
}

static void make(void)
{
	static const int rare[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_EXEC, PROT_WRITE };
	int prot = below(5) ? PROT_READ | PROT_WRITE : rare[below(4)];
	int flags = MAP_PRIVATE | MAP_ANONYMOUS, fd = -1;
	size_t pages = 1 + below(40);
	off_t offset = 0;
	char *start;

	switch (below(9)) {
	case 0:
		flags = MAP_SHARED | MAP_ANONYMOUS;
		break;
	case 1:
		flags |= MAP_NORESERVE;
		break;
	case 2:
		flags |= MAP_GROWSDOWN;
		break;
	case 3:
	case 4:
		fd = open_file();
		break;
	case 5:
		fd = memfd_create("random", 0);
		if (ftruncate(fd, FILE_PAGES * PAGE) < 0)
			abort();
		break;
	case 6:
		fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
		flags = MAP_PRIVATE;
		break;
	case 7:
		flags |= MAP_STACK;
	}
	if (fd >= 0 && flags != MAP_PRIVATE) {
		flags = below(2) ? MAP_PRIVATE : MAP_SHARED;
		offset = below(FILE_PAGES / 2) * PAGE;
	}
	start = mmap(NULL, pages * PAGE, prot, flags, fd, offset);
	if (fd >= 0)
		close(fd);
	if (start == MAP_FAILED || region_count == 1000)
		return;
	regions[region_count++] = (struct region){ start, pages, prot == (PROT_READ | PROT_WRITE) };
	touch(start, pages, prot);
}

static void move(struct region *region)
{
	size_t size = region->pages * PAGE;
	char *target = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *moved = mremap(region->start, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, target);

	if (moved == MAP_FAILED)
		munmap(target, size); /* its parts are mappings of their own */
	else
		region->start = moved;
}

static void change(void)
{
	static const int advice[] = { MADV_DONTFORK, MADV_DOFORK,     MADV_DONTDUMP, MADV_MERGEABLE,
				      MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_RANDOM,   MADV_SEQUENTIAL,
				      MADV_DONTNEED, MADV_FREE,	      MADV_WIPEONFORK };
	static const int prots[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_EXEC, PROT_READ | PROT_WRITE | PROT_EXEC,
				     PROT_READ | PROT_WRITE };
	int index = below(region_count);
	struct region *region = &regions[index];
	size_t first = below(region->pages), count = 1 + below(region->pages - first);
	char *start = region->start + first * PAGE;

	switch (below(8)) {
	case 0:
		munmap(start, count * PAGE);
		if (first == 0 && count == region->pages)
			*region = regions[--region_count];
		else if (first == 0)
			*region = (struct region){ start + count * PAGE, region->pages - count, region->touchable };
		else
			region->pages = first;
		break;
	case 1:
	case 2: {
		int prot = prots[below(5)];

		region->touchable = false;
		if (mprotect(start, count * PAGE, prot) == 0)
			touch(start, count, prot);
		break;
	}
	case 3:
		madvise(start, count * PAGE, advice[below(11)]);
		break;
	case 4:
		/* Only what is there in whole: a lock that fails half-way leaves what cannot be told apart later. */
		if (region->touchable)
			mlock2(start, count * PAGE, below(2));
		break;
	case 5:
		madvise(start, count * PAGE, MADV_GUARD_INSTALL_);
		break;
	case 6:
		move(region);
		break;
	case 7:
		if (region->touchable)
			touch(region->start, region->pages, PROT_READ | PROT_WRITE);
	}
}

static void work(int steps)
{
	while (steps-- > 0)
		if (region_count < 3 || below(16) < 6)
			make();
		else
			change();
}

int main(int argc, char **argv)
{
	char name[600];

	if (argc < 3)
		return 2;
	state = strtoull(argv[1], NULL, 10) * 0x9e3779b97f4a7c15ull | 1;
	directory = argv[2];
	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	for (int round = 0; round < 4; round++) {
		work(60);
		if (round > 0 && fork() == 0) {
			work(60);
			break;
		}
	}
	snprintf(name, sizeof(name), "%s/ready.%d", directory, (int)getpid());
	close(open(name, O_CREAT | O_WRONLY, 0644));
	for (;;)
		pause();
}
