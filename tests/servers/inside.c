/*
 * A client inside the tree of a server: it asks a question over one connection, checks the answer, and asks the next one, until
 * it is told to stop. What is wrong it writes to its report, or how often it has asked.
 *
 *     inside PORT QUESTION ANSWER REPORT STOP
 *
 * %ld in the formats is the number of the question; an answer is complete when it ends with ANSWER. STOP is a file that appears.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *report_path;

static void report(const char *format, ...)
{
	FILE *file = fopen(report_path, "w");
	va_list args;

	va_start(args, format);
	if (file) {
		vfprintf(file, format, args);
		fclose(file);
	}
	_exit(0);
}

/* "\r" and "\n" are written out, as they come from a command line. */
static void unescape(char *text)
{
	char *out = text;

	for (char *in = text; *in; in++) {
		if (*in == '\\' && (in[1] == 'r' || in[1] == 'n'))
			*out++ = *++in == 'r' ? '\r' : '\n';
		else
			*out++ = *in;
	}
	*out = 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	static char question[4096], expected[4096], answer[1 << 16];
	struct stat st;
	int fd = -1;
	long number;

	if (argc != 6)
		return 2;
	report_path = argv[4];
	unescape(argv[2]);
	unescape(argv[3]);
	address.sin_port = htons(atoi(argv[1]));
	for (int i = 0; i < 500; i++) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
			break;
		close(fd);
		fd = -1;
		nanosleep(&(struct timespec){ 0, 20000000 }, NULL);
	}
	if (fd < 0)
		report("failed: connect: %s", strerror(errno));
	for (number = 1; stat(argv[5], &st) < 0; number++) {
		size_t length = snprintf(question, sizeof(question), argv[2], number, number), got = 0;
		size_t wanted = snprintf(expected, sizeof(expected), argv[3], number, number);

		if (send(fd, question, length, MSG_NOSIGNAL) != (ssize_t)length)
			report("failed: question %ld: %s", number, strerror(errno));
		while (got < wanted || memcmp(answer + got - wanted, expected, wanted) != 0) {
			ssize_t more = recv(fd, answer + got, sizeof(answer) - got, 0);

			if (more <= 0)
				report("failed: answer %ld after %zu bytes: %s", number, got,
				       more ? strerror(errno) : "the end, or too much");
			got += more;
		}
		nanosleep(&(struct timespec){ 0, 500000 }, NULL);
	}
	report("asked %ld", number - 1);
}
