/* Stands where an arm64 program stood and hands it to qemu: programs that start programs need no binfmt_misc then, which
   is the kernel's and would outlive the test. The program itself lies below /arm64. */
#include <stdio.h>
#include <unistd.h>

int main(int count, char **words)
{
	char here[4096], there[4128];
	ssize_t length = readlink("/proc/self/exe", here, sizeof here - 1);
	if (length < 0)
		return 127;
	here[length] = 0;
	snprintf(there, sizeof there, "/arm64%s", here);
	char *command[count + 4];
	command[0] = "qemu-aarch64";
	command[1] = "-0";
	command[2] = words[0];
	command[3] = there;
	for (int each = 1; each <= count; each++)
		command[each + 3] = words[each];
	execv("/usr/bin/qemu-aarch64", command);
	return 127;
}
