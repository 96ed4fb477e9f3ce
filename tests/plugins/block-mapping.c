/* Maps two pages of a block device, from its second page on, and sleeps. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int fd = open(argv[argc - 1], O_RDONLY);

	if (fd < 0 || mmap(0, 8192, PROT_READ, MAP_SHARED, fd, 4096) == MAP_FAILED)
		return 1;
	close(fd);
	for (;;)
		pause();
}
