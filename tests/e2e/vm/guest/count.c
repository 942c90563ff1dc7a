/* A plugin of qemu-user: how many instructions a program executed, written to the file of out= at its end.
   Debian ships no header for plugins; this is the part of version 1 of their interface that is used. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct qemu_plugin_tb;
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*call)(uint64_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block, void (*call)(unsigned, void *), int flags, void *data);
void qemu_plugin_register_atexit_cb(uint64_t id, void (*call)(uint64_t, void *), void *data);

int qemu_plugin_version = 1;
static uint64_t executed;
static char path[4096];

static void count(unsigned processor, void *instructions)
{
	(void)processor;
	__atomic_fetch_add(&executed, (uintptr_t)instructions, __ATOMIC_RELAXED);
}

static void translated(uint64_t id, struct qemu_plugin_tb *block)
{
	(void)id;
	qemu_plugin_register_vcpu_tb_exec_cb(block, count, 0, (void *)qemu_plugin_tb_n_insns(block));
}

static void ended(uint64_t id, void *data)
{
	FILE *file = fopen(path, "w");
	(void)id, (void)data;
	if (file) {
		fprintf(file, "%llu\n", (unsigned long long)executed);
		fclose(file);
	}
}

int qemu_plugin_install(uint64_t id, const void *facts, int count_, char **words)
{
	(void)facts;
	if (count_ != 1 || strncmp(words[0], "out=", 4) || strlen(words[0] + 4) >= sizeof path)
		return -1;
	strcpy(path, words[0] + 4);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, ended, NULL);
	return 0;
}
