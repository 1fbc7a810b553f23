// promise: settings are read strictly; a mistake names variable, value, place and what was expected
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/config.h"
#include "base/log.h"
#include "config_free.h"
#include "suite.h"

static struct config config;
static char said[16384]; /* what the last reading wrote on stderr */
static char file_path[64];
static int errno_after; /* was 99 before */

static void read_env(bool is_secure, char **envp)
{
    FILE *out = tmpfile();
    int real_stderr = dup(2);
    ssize_t n;

    config_free(&config);
    dup2(fileno(out), 2);
    errno = 99;
    config_read_as(is_secure, envp, &config);
    errno_after = errno;
    dup2(real_stderr, 2);
    close(real_stderr);
    n = pread(fileno(out), said, sizeof said - 1, 0);
    said[n > 0 ? n : 0] = '\0';
    fclose(out);
}

#define READ(...) read_env(false, (char *[]){__VA_ARGS__, NULL})

static void write_file(const char *text, size_t len)
{
    int fd;

    strcpy(file_path, "/tmp/baton_config_XXXXXX");
    fd = mkstemp(file_path);
    ck_assert_int_eq((int)write(fd, text, len), (int)len);
    close(fd);
}

static void read_file(const char *text, const char *more)
{
    char setting[128];

    write_file(text, strlen(text));
    snprintf(setting, sizeof setting, "BATON_CONFIG=%s", file_path);
    READ("PATH=/bin", setting, (char *)more);
    unlink(file_path);
}

/* The line that reading a file should have said, with the file's path for @. */
static void expect_said(const char *fmt)
{
    char line[512], *at;

    if ((at = strchr(fmt, '@')))
        snprintf(line, sizeof line, "%.*s%s%s", (int)(at - fmt), fmt, file_path, at + 1);
    else
        snprintf(line, sizeof line, "%s", fmt);
    ck_assert_str_eq(said, line);
}

START_TEST(test_config_defaults_without_an_environment)
{
    read_env(false, NULL);
    ck_assert_str_eq(said, "");
    ck_assert_uint_eq(config.errors, 0);
    ck_assert_ptr_null(config.memory);
    ck_assert_uint_eq(config.inherit, INHERIT_APP);
    ck_assert_uint_eq(config.log, LOG_LEVEL_ERROR);
    ck_assert(config.periodic);
    ck_assert(!config.strict && !config.force && !config.help && !config.discover);
    ck_assert_uint_eq(config.max_age_ns, 0);
    ck_assert_uint_eq(config.max_hops, 0);
    ck_assert_ptr_null(config.report);
    ck_assert_uint_eq(config.carry.count, 0);
    READ("PATH=/bin", "BATONX=1", "BATON=2");
    ck_assert_str_eq(said, "");
    ck_assert_ptr_null(config.memory);
}
END_TEST

START_TEST(test_config_reads_every_type)
{
    READ("BATON_INHERIT=none", "BATON_PERIODIC=off", "BATON_STRICT=1", "BATON_FORCE=on",
         "BATON_MAX_AGE=1.25", "BATON_MAX_HOPS=17", "BATON_LOG=debug", "BATON_REPORT=stderr",
         "BATON_DISABLE=uv.work, gomp;glib.pool", "BATON_CARRY= key:a ; tls:b#c.c;key:d,copy=4 ");
    ck_assert_str_eq(said, "");
    ck_assert_uint_eq(config.errors, 0);
    ck_assert_uint_eq(config.inherit, INHERIT_NONE);
    ck_assert(!config.periodic && config.strict && config.force);
    ck_assert_uint_eq(config.max_age_ns, 1250000000);
    ck_assert_uint_eq(config.max_hops, 17);
    ck_assert_uint_eq(config.log, LOG_LEVEL_DEBUG);
    ck_assert_str_eq(config.report, "stderr");
    ck_assert_uint_eq(config.disable.count, 3);
    ck_assert_str_eq(config.disable.items[1].text, "gomp");
    ck_assert_str_eq(config.disable.items[2].text, "glib.pool");
    ck_assert_uint_eq(config.carry.count, 3);
    ck_assert_str_eq(config.carry.items[0].text, "key:a");
    ck_assert_uint_eq(config.carry.items[0].column, 2);
    ck_assert_str_eq(config.carry.items[1].text, "tls:b#c.c");
    ck_assert_uint_eq(config.carry.items[1].column, 10);
    ck_assert_str_eq(config.carry.items[2].text, "key:d,copy=4");
    ck_assert_str_eq(config.carry.items[2].name, "BATON_CARRY");
    ck_assert_ptr_null(config.carry.items[2].file);
}
END_TEST

START_TEST(test_config_outlives_the_environment)
{
    char carry[] = "BATON_CARRY=key:a", report[] = "BATON_REPORT=/r";

    READ(carry, report);
    memset(carry, 'x', sizeof carry - 1);
    memset(report, 'x', sizeof report - 1);
    ck_assert_str_eq(config.carry.items[0].text, "key:a");
    ck_assert_str_eq(config.report, "/r");
}
END_TEST

START_TEST(test_config_takes_the_first_of_two_entries_and_none_of_an_empty_one)
{
    READ("BATON_INHERIT=all", "BATON_INHERIT=none", "BATON_PERIODIC=", "BATON_MAX_HOPS=  ");
    ck_assert_str_eq(said, "");
    ck_assert_uint_eq(config.inherit, INHERIT_ALL);
    ck_assert(config.periodic);
}
END_TEST

static const struct {
    const char *env, *message;
} wrong[] = {
    {"BATON_INHERIT=al",
     "BATON_INHERIT=\"al\": column 1: expected one of app|all|none, as in BATON_INHERIT=app"},
    {"BATON_INHERIT=app|all",
     "BATON_INHERIT=\"app|all\": column 1: expected one of app|all|none, as in BATON_INHERIT=app"},
    {"BATON_STRICT=yes",
     "BATON_STRICT=\"yes\": column 1: expected one of off|on|require, as in BATON_STRICT=on"},
    {"BATON_MAX_HOPS=12x", "BATON_MAX_HOPS=\"12x\": column 3: expected a whole number, as in 16"},
    {"BATON_MAX_HOPS=-1", "BATON_MAX_HOPS=\"-1\": column 1: expected a whole number, as in 16"},
    {"BATON_MAX_HOPS=0x10", "BATON_MAX_HOPS=\"0x10\": column 2: expected a whole number, as in 16"},
    {"BATON_MAX_HOPS=99999999999",
     "BATON_MAX_HOPS=\"99999999999\": column 1: expected a number up to 4294967295"},
    {"BATON_MAX_HOPS=184467440737095516160",
     "BATON_MAX_HOPS=\"184467440737095516160\": column 1: expected a number up to 4294967295"},
    {"BATON_MAX_AGE=1.",
     "BATON_MAX_AGE=\"1.\": column 3: expected a number of seconds, as in 30 or 0.5"},
    {"BATON_MAX_AGE=1e3",
     "BATON_MAX_AGE=\"1e3\": column 2: expected a number of seconds, as in 30 or 0.5"},
    {"BATON_MAX_AGE=  5s", "BATON_MAX_AGE=\"5s\": column 4: expected seconds without a unit: 5"},
    {"BATON_CARY=key:a", "BATON_CARY=\"key:a\": column 1: no such setting, expected BATON_CARRY?"},
    {"BATON_TOTALLY_ELSE=\x01",
     "BATON_TOTALLY_ELSE=\"?\": column 1: no such setting, BATON_HELP=1 lists them"},
    {"BATON_CONFIG=/nonexistent/x",
     "BATON_CONFIG=\"/nonexistent/x\": column 1: cannot be opened (no such file), "
     "expected a readable file"},
    {"BATON_CONFIG=/",
     "BATON_CONFIG=\"/\": column 1: expected a regular file of at most 262144 bytes"},
};

START_TEST(test_config_names_what_is_wrong)
{
    char line[512];

    snprintf(line, sizeof line, "baton: %s\n", wrong[_i].message);
    READ((char *)wrong[_i].env, "BATON_FORCE=on");
    ck_assert_str_eq(said, line);
    ck_assert_uint_eq(config.errors, 1);
    ck_assert(config.force); /* the rest still works */
    ck_assert_uint_eq(config.inherit, INHERIT_APP);
    ck_assert_uint_eq(config.max_hops, 0);
}
END_TEST

START_TEST(test_config_leaves_the_tests_variables_alone)
{
    READ("BATON_TEST_ROUNDS=5", "BATON_NOEQUALS");
    ck_assert_str_eq(said, "");
    ck_assert_uint_eq(config.errors, 0);
}
END_TEST

START_TEST(test_config_repeats_only_the_start_of_a_long_value)
{
    char setting[5000] = "BATON_LOG=";

    memset(setting + 10, 'v', sizeof setting - 11);
    READ(setting);
    ck_assert_uint_lt(strlen(said), 200);
    ck_assert_ptr_nonnull(strstr(said, "vvv...\": column 1: expected one of"));
}
END_TEST

START_TEST(test_config_file_has_settings_items_and_hooks)
{
    read_file("# a comment\n"
              "INHERIT = all   # its own\r\n"
              "\n"
              "BATON_MAX_HOPS=3\n"
              "  key:request_key\n"
              "tls:count#file.c # the one in file.c\n"
              "fn:get=Get,set=Set\n"
              "CARRY=key:b; key:c\n"
              "POOL_push@main(kind=put,item=1)\n"
              "key:last",
              "BATON_CARRY=key:first");
    ck_assert_str_eq(said, "");
    ck_assert_uint_eq(config.inherit, INHERIT_ALL);
    ck_assert_uint_eq(config.max_hops, 3);
    ck_assert_uint_eq(config.carry.count, 7);
    ck_assert_str_eq(config.carry.items[0].text, "key:first");
    ck_assert_str_eq(config.carry.items[1].text, "key:request_key");
    ck_assert_uint_eq(config.carry.items[1].line, 5);
    ck_assert_uint_eq(config.carry.items[1].column, 3);
    ck_assert_str_eq(config.carry.items[2].text, "tls:count#file.c");
    ck_assert_str_eq(config.carry.items[3].text, "fn:get=Get,set=Set");
    ck_assert_str_eq(config.carry.items[5].text, "key:c");
    ck_assert_uint_eq(config.carry.items[5].line, 8);
    ck_assert_uint_eq(config.carry.items[5].column, 14);
    ck_assert_str_eq(config.carry.items[6].text, "key:last");
    ck_assert_str_eq(config.carry.items[6].file, file_path);
    ck_assert_uint_eq(config.hooks.count, 1);
    ck_assert_str_eq(config.hooks.items[0].text, "POOL_push@main(kind=put,item=1)");
}
END_TEST

START_TEST(test_config_environment_beats_the_file_which_is_checked_all_the_same)
{
    read_file("INHERIT=all\nLOG=loud\n", "BATON_INHERIT=none");
    ck_assert_uint_eq(config.inherit, INHERIT_NONE);
    expect_said("baton: @:2:5: BATON_LOG=\"loud\": expected one of error|warn|info|debug, as in "
                "BATON_LOG=error\n");
    read_file("INHERIT=all\n", "BATON_INHERIT=wrong");
    ck_assert_uint_eq(config.inherit, INHERIT_ALL);
}
END_TEST

START_TEST(test_config_names_the_place_in_the_file)
{
    read_file("\n  MAX_HOPS = 1o\n", NULL);
    expect_said("baton: @:2:15: BATON_MAX_HOPS=\"1o\": expected a whole number, as in 16\n");
    read_file("INHERITS=all\n", NULL);
    expect_said(
        "baton: @:1:10: BATON_INHERITS=\"all\": no such setting, expected BATON_INHERIT?\n");
    read_file("CONFIG=/x\n", NULL);
    expect_said("baton: @:1:8: BATON_CONFIG=\"/x\": "
                "expected in the environment only, not in a file\n");
    read_file("LOG=info\nLOG=warn\n", NULL);
    expect_said("baton: @:2:5: BATON_LOG=\"warn\": already given in line 1, expected once\n");
}
END_TEST

START_TEST(test_config_refuses_a_binary_file)
{
    char setting[128];

    write_file("key:a\0b", 7);
    snprintf(setting, sizeof setting, "BATON_CONFIG=%s", file_path);
    READ(setting);
    unlink(file_path);
    ck_assert_ptr_nonnull(strstr(said, "expected a text file, byte 5 is a NUL"));
    ck_assert_uint_eq(config.carry.count, 0);
}
END_TEST

START_TEST(test_config_item_errors_point_into_the_item)
{
    FILE *out = tmpfile();
    int real_stderr = dup(2);

    READ("BATON_CARRY=key:a;  key:@x");
    dup2(fileno(out), 2);
    config_item_error(&config, &config.carry.items[1], 4, "expected a name");
    dup2(real_stderr, 2);
    close(real_stderr);
    said[pread(fileno(out), said, sizeof said - 1, 0)] = '\0';
    fclose(out);
    ck_assert_str_eq(said, "baton: BATON_CARRY=\"key:@x\": column 13: expected a name\n");
    ck_assert_uint_eq(config.errors, 1);
}
END_TEST

START_TEST(test_config_privileged_programs_obey_only_the_harmless)
{
    read_env(true,
             (char *[]){"BATON_CARRY=key:a", "BATON_REPORT=/etc/x", "BATON_CONFIG=/etc/shadow",
                        "BATON_STRICT=1", "BATON_FORCE=1", "BATON_NONSENSE=1", "BATON_LOG=x",
                        "BATON_INHERIT=none", "BATON_DISABLE=gomp", NULL});
    ck_assert_str_eq(said, "");
    ck_assert(config.is_secure);
    ck_assert_uint_eq(config.errors, 0);
    ck_assert_uint_eq(config.carry.count, 0);
    ck_assert_ptr_null(config.report);
    ck_assert_ptr_null(config.config);
    ck_assert(!config.strict && !config.force);
    ck_assert_uint_eq(config.inherit, INHERIT_NONE);
    ck_assert_uint_eq(config.disable.count, 1);
}
END_TEST

START_TEST(test_config_keeps_errno)
{
    READ("BATON_CONFIG=/nonexistent");
    ck_assert_int_eq(errno_after, 99);
    READ("BATON_CONFIG=/dev/null", "BATON_CARRY=key:a");
    ck_assert_int_eq(errno_after, 99);
}
END_TEST

START_TEST(test_config_help_has_every_setting)
{
    FILE *out = tmpfile();
    int real_stderr = dup(2);

    dup2(fileno(out), 2);
    config_help();
    dup2(real_stderr, 2);
    close(real_stderr);
    said[pread(fileno(out), said, sizeof said - 1, 0)] = '\0';
    fclose(out);
#define SETTING(field, name, type, def, secure_ok, help)    \
    ck_assert_msg(strstr(said, "  " name "="), "%s", name); \
    ck_assert_msg(strstr(said, help), "%s", name);
#include "base/config.def"
#undef SETTING
}
END_TEST

START_TEST(test_config_distance_counts_changes)
{
    ck_assert_uint_eq(config_name_distance("", ""), 0);
    ck_assert_uint_eq(config_name_distance("abc", "abc"), 0);
    ck_assert_uint_eq(config_name_distance("abc", "ab"), 1);
    ck_assert_uint_eq(config_name_distance("abc", "axc"), 1);
    ck_assert_uint_eq(config_name_distance("kitten", "sitting"), 3);
}
END_TEST

/* Any bytes, from the environment and as a file: no crash (the sanitizers watch), every text is
 * terminated where its length says, and what was said is whole lines. */
START_TEST(test_config_survives_any_bytes)
{
    static const char *const words[] = {
        "BATON_",  "INHERIT", "CARRY", "=",      ";",   ",",          "#",  " #",
        "\n",      "\r",      "key:",  "(kind=", "1.5", "9999999999", "on", "\t",
        "MAX_AGE", "CONFIG",  "HOOKS", "\x80",   "@",   "DISABLE"};
    char text[600], setting[700], env[700];
    unsigned long seed = 12345;
    FILE *null = fopen("/dev/null", "w");
    int real_stderr = dup(2);

    dup2(fileno(null), 2);
    for (int round = 0; round < 3000; round++) {
        size_t len = 0, want;

#define RANDOM() ((seed = seed * 6364136223846793005ul + 1442695040888963407ul) >> 33)
        want = RANDOM() % 500;
        while (len < want) {
            if (RANDOM() % 4) {
                const char *word = words[RANDOM() % (sizeof words / sizeof *words)];

                memcpy(text + len, word, strlen(word));
                len += strlen(word);
            } else {
                text[len++] = (char)RANDOM();
            }
        }
        text[len] = '\0';
        if (round % 8 == 0) {
            write_file(text, len);
            snprintf(setting, sizeof setting, "BATON_CONFIG=%s", file_path);
        } else {
            snprintf(setting, sizeof setting, "BATON_LOG=%s", text);
        }
        snprintf(env, sizeof env, "BATON_%s%s", round % 2 ? "CARRY=" : "", text);
        config_free(&config);
        config_read_as(false, (char *[]){setting, env, text, NULL}, &config);
        for (size_t i = 0; i < config.carry.count; i++) {
            ck_assert_uint_eq(strlen(config.carry.items[i].text), config.carry.items[i].len);
            ck_assert_uint_gt(config.carry.items[i].len, 0);
        }
        if (round % 8 == 0)
            unlink(file_path);
    }
    dup2(real_stderr, 2);
    close(real_stderr);
    fclose(null);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("config");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_config_defaults_without_an_environment);
    tcase_add_test(tc, test_config_reads_every_type);
    tcase_add_test(tc, test_config_outlives_the_environment);
    tcase_add_test(tc, test_config_takes_the_first_of_two_entries_and_none_of_an_empty_one);
    tcase_add_loop_test(tc, test_config_names_what_is_wrong, 0, sizeof wrong / sizeof *wrong);
    tcase_add_test(tc, test_config_leaves_the_tests_variables_alone);
    tcase_add_test(tc, test_config_repeats_only_the_start_of_a_long_value);
    tcase_add_test(tc, test_config_file_has_settings_items_and_hooks);
    tcase_add_test(tc, test_config_environment_beats_the_file_which_is_checked_all_the_same);
    tcase_add_test(tc, test_config_names_the_place_in_the_file);
    tcase_add_test(tc, test_config_refuses_a_binary_file);
    tcase_add_test(tc, test_config_item_errors_point_into_the_item);
    tcase_add_test(tc, test_config_privileged_programs_obey_only_the_harmless);
    tcase_add_test(tc, test_config_keeps_errno);
    tcase_add_test(tc, test_config_help_has_every_setting);
    tcase_add_test(tc, test_config_distance_counts_changes);
    tcase_add_test(tc, test_config_survives_any_bytes);
    return suite_run("config", tc);
}
