/* SPDX-License-Identifier: Apache-2.0
 * The commands: one function each, found by argv[0] (postqueue, sendmail …) or argv[1] (ostler start …). */
#ifndef COMMAND_COMMAND_H
#define COMMAND_COMMAND_H

struct command {
	const char *name;
	int (*run)(int argc, char **argv); /* argv[0] is the command's name; answers the exit status */
	const char *help;                  /* one line */
};

/* A link of that name to the executable. Each is in a file of its own: core/command/NAME.c. */
int cmd_postconf(int argc, char **argv);
int cmd_postmap(int argc, char **argv);
int cmd_postalias(int argc, char **argv);
int cmd_newaliases(int argc, char **argv);
int cmd_postqueue(int argc, char **argv);
int cmd_mailq(int argc, char **argv);
int cmd_postsuper(int argc, char **argv);
int cmd_postcat(int argc, char **argv);
int cmd_sendmail(int argc, char **argv);
int cmd_postfix(int argc, char **argv);
/* ostler NAME */
int cmd_start(int argc, char **argv);
int cmd_start_fg(int argc, char **argv);
int cmd_stop(int argc, char **argv);
int cmd_reload(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_modules(int argc, char **argv);
int cmd_version(int argc, char **argv);

/* The configuration folder of this call: -c DIR (already taken out of argv by main), MAIL_CONFIG, or the default. */
const char *command_config_dir(void);

#endif
