#include "measure.h"

#include <sys/resource.h>
#include <unistd.h>

#include "client.h"

Results results;
int is_measuring;

static uint64_t window_start, start_in, start_out;
static double start_own, start_user, start_system, own, user, system_time;
static int knows_server;

static double read_own(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double) usage.ru_utime.tv_sec + (double) usage.ru_utime.tv_usec / 1e6 + (double) usage.ru_stime.tv_sec
        + (double) usage.ru_stime.tv_usec / 1e6;
}

/* /proc/<pid>/stat counts ticks; the second field, a name in brackets, may hold spaces. */
static int read_server(int pid, double *user_time, double *system) {
    char path[64], text[1024];
    unsigned long in_user, in_system;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return 0;
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = 0;
    char *fields = strrchr(text, ')');
    if (fields == NULL || sscanf(fields + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &in_user,
                                 &in_system) != 2)
        return 0;
    *user_time = (double) in_user / (double) sysconf(_SC_CLK_TCK);
    *system = (double) in_system / (double) sysconf(_SC_CLK_TCK);
    return 1;
}

void start_window(int server_pid) {
    memset(&results, 0, sizeof results);
    knows_server = server_pid > 0 && read_server(server_pid, &start_user, &start_system);
    start_own = read_own();
    start_in = bytes_in;
    start_out = bytes_out;
    is_measuring = 1;
    window_start = now = read_clock();
}

void end_window(int server_pid) {
    now = read_clock();
    results.seconds_ns = now - window_start;
    own = read_own() - start_own;
    if (knows_server && read_server(server_pid, &user, &system_time)) {
        user -= start_user;
        system_time -= start_system;
    }
    start_in = bytes_in - start_in;
    start_out = bytes_out - start_out;
    is_measuring = 0;
}

void print_results(const char *mode) {
    double seconds = (double) results.seconds_ns / 1e9;
    printf("{\"mode\": \"%s\", \"operations\": %llu, \"messages\": %llu, \"seconds\": %.6f, \"rate\": %.3f, ", mode,
           (unsigned long long) results.operations, (unsigned long long) results.messages, seconds,
           seconds > 0 ? (double) results.operations / seconds : 0);
    printf("\"bytes_received\": %llu, \"bytes_sent\": %llu, \"load_cpu_seconds\": %.3f, \"load_cpu_share\": %.3f, ",
           (unsigned long long) start_in, (unsigned long long) start_out, own, seconds > 0 ? own / seconds : 0);
    if (knows_server)
        printf("\"server_user_seconds\": %.3f, \"server_system_seconds\": %.3f, ", user, system_time);
    histogram_print(&results.latency, "latency_us", stdout);
    if (results.favoured.total) {
        printf(", ");
        histogram_print(&results.favoured, "polite_latency_us", stdout);
    }
    printf(", \"failures\": %u, \"first_failure\": \"%s\"}\n", failures, first_failure);
    fflush(stdout);
}
