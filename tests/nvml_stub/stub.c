/* A stand-in for libnvidia-ml.so.1 that the real pynvml loads: GPUs whose true energy is known.
 *
 * Everything it says comes from the environment variable NVML_STUB, so that every process agrees:
 * `key=value` for all GPUs or `key@gpu=value` for one, separated by `;`. tests/stub_nvml.py writes
 * that text and documents each key. Times in seconds count from `epoch_ns` of CLOCK_MONOTONIC, or
 * of a virtual clock. A schedule is `value,value@time,...`: from each time on, the next value.
 *
 * The stub_* functions at the end are for the tests: time, truth, number of calls, reading anew.
 */
#include <math.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { OK, UNINITIALIZED, INVALID, NOT_SUPPORTED, NOT_FOUND = 6, TOO_SMALL = 7, MAX = 16, SLICES = 7 };
#define GPM_MIN_S 0.1 /* the documented least time between two samples */

typedef struct { double n, value[MAX], from_s[MAX]; } Schedule;
typedef struct {
    char uuid[96], pci[32], name[96], processes[256], graphics[256], slices[512];
    char power[8]; /* the first letter of the shape is looked at */
    double trace[4], counter[2], base_j, counter_gain, reset_s, back[2], sensor[3], sensor_gain, average[2];
    double total_bytes, reserved_bytes, v1_reserved, v2_reserved, has_v2, mig, has_gpm, ecc_mode;
    double max_sm_mhz, default_limit_w, persistence;
    Schedule used_bytes, sm_mhz, mem_mhz, temperature_c, reasons, limit_w, uncorrected, corrected;
    Schedule gpm_sm, gpm_occupancy, gpm_tensor, gpm_hmma, gpm_dram;
} Gpu;
typedef struct { int gpu, slice; char uuid[96]; } Device; /* slice -1: the whole GPU */
typedef struct { char function[64]; long call; double what; char kind; } Rule; /* Fault, Hang, Crash */

static Gpu gpus[MAX];
static Device devices[MAX][SLICES + 1];
static Rule rules[64];
static struct { char function[64]; long calls; } counted[128];
static int n_gpus, n_rules, n_slices[MAX], started, is_virtual;
static double epoch_ns, cost_ns;
static int64_t virtual_ns;

#define KEY(kind, field) {#field, kind, offsetof(Gpu, field), sizeof(((Gpu *)0)->field)}
static const struct { const char *name; char kind; size_t offset, size; } keys[] = {
    KEY('c', uuid), KEY('c', pci), KEY('c', name), KEY('c', processes), KEY('c', graphics),
    KEY('c', slices), KEY('n', counter), KEY('n', base_j), KEY('n', counter_gain), KEY('n', reset_s),
    KEY('n', back), KEY('n', sensor), KEY('n', sensor_gain), KEY('n', average), KEY('n', total_bytes),
    KEY('n', reserved_bytes), KEY('n', v1_reserved), KEY('n', v2_reserved), KEY('n', has_v2),
    KEY('n', mig), KEY('n', has_gpm), KEY('n', ecc_mode), KEY('n', max_sm_mhz),
    KEY('n', default_limit_w), KEY('n', persistence), KEY('s', used_bytes), KEY('s', sm_mhz),
    KEY('s', mem_mhz), KEY('s', temperature_c), KEY('s', reasons), KEY('s', limit_w),
    KEY('s', uncorrected), KEY('s', corrected), KEY('s', gpm_sm), KEY('s', gpm_occupancy),
    KEY('s', gpm_tensor), KEY('s', gpm_hmma), KEY('s', gpm_dram),
};

static void put_numbers(double *to, size_t n, char *text) {
    for (size_t i = 0; i < n && *text; i++) to[i] = strtod(text, &text);
}

static void put(Gpu *gpu, const char *key, char *value) {
    if (!strcmp(key, "power")) {
        sscanf(value, "%7s", gpu->power);
        put_numbers(gpu->trace, 4, value + strcspn(value, " "));
    }
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        char *field = (char *)gpu + keys[k].offset;
        if (strcmp(key, keys[k].name)) continue;
        if (keys[k].kind == 'c') snprintf(field, keys[k].size, "%s", value);
        if (keys[k].kind == 'n') put_numbers((double *)field, keys[k].size / sizeof(double), value);
        if (keys[k].kind != 's') continue;
        Schedule *s = (Schedule *)field;
        memset(s, 0, sizeof *s);
        while (*value && s->n < MAX) {
            int i = (int)s->n++;
            s->value[i] = strtod(value, &value);
            if (*value == '@') s->from_s[i] = strtod(value + 1, &value);
            if (*value) value++;
        }
    }
}

static void put_rules(char kind, char *text) { /* function:call:number, separated by commas */
    char *rest = text;
    for (char *one; (one = strsep(&rest, ",")) && n_rules < 64;) {
        Rule rule = {.kind = kind, .call = 1};
        if (sscanf(one, "%63[^:]:%ld:%lf", rule.function, &rule.call, &rule.what) > 0) rules[n_rules++] = rule;
    }
}

void stub_reload(void) {
    const char *set = getenv("NVML_STUB");
    char *text = strdup(set ? set : ""), *rest = text, *one;
    memset(gpus, 0, sizeof gpus);
    memset(counted, 0, sizeof counted);
    memset(n_slices, 0, sizeof n_slices);
    n_gpus = n_rules = is_virtual = 0;
    epoch_ns = cost_ns = 0;
    while ((one = strsep(&rest, ";"))) {
        char *value = strchr(one, '='), *at;
        if (!value) continue;
        *value++ = 0;
        at = strchr(one, '@');
        if (at) *at++ = 0;
        if (!strcmp(one, "gpus")) n_gpus = atoi(value);
        else if (!strcmp(one, "epoch_ns")) epoch_ns = strtod(value, NULL);
        else if (!strcmp(one, "virtual")) is_virtual = 1, cost_ns = strtod(value, NULL);
        else if (!strcmp(one, "faults")) put_rules('f', value);
        else if (!strcmp(one, "hangs")) put_rules('h', value);
        else if (!strcmp(one, "crashes")) put_rules('c', value);
        else for (int i = at ? atoi(at) : 0; i < (at ? atoi(at) + 1 : MAX) && i < MAX; i++) {
            char *copy = strdup(value);
            put(&gpus[i], one, copy);
            free(copy);
        }
    }
    for (int i = 0; i < n_gpus; i++) {
        char *slices = gpus[i].slices, *slice;
        devices[i][0] = (Device){i, -1, ""};
        strcpy(devices[i][0].uuid, gpus[i].uuid);
        char *list = strdup(slices), *left = list;
        while (*list && (slice = strsep(&left, ",")) && n_slices[i] < SLICES) {
            Device *d = &devices[i][++n_slices[i]];
            *d = (Device){i, n_slices[i] - 1, ""};
            snprintf(d->uuid, sizeof d->uuid, "%s", slice);
        }
        free(list);
    }
    free(text);
}

static int64_t now_ns(void) {
    struct timespec t;
    if (is_virtual) return virtual_ns;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
static double seconds(int64_t ns) { return ((double)ns - epoch_ns) / 1e9; }
static double now_s(void) { return seconds(now_ns()); }

static double at(const Schedule *s, double t_s) {
    double value = s->value[0];
    for (int i = 1; i < s->n; i++) if (t_s >= s->from_s[i]) value = s->value[i];
    return value;
}

static double mean(const Schedule *s, double t0_s, double t1_s) {
    double sum = 0;
    for (int i = 0; i < s->n; i++) {
        double from_s = i ? fmax(t0_s, s->from_s[i]) : t0_s;
        double to_s = i + 1 < s->n ? fmin(t1_s, s->from_s[i + 1]) : t1_s;
        if (to_s > from_s) sum += s->value[i] * (to_s - from_s);
    }
    return sum / (t1_s - t0_s);
}

/* Energy from time 0 to t, in closed form: constant W, step LOW HIGH AT, square LOW HIGH CYCLE DUTY,
 * ramp LOW HIGH START LENGTH. */
static double energy_j(const Gpu *g, double t_s) {
    double low = g->trace[0], rise = g->trace[1] - low, x = g->trace[2], y = g->trace[3], into;
    switch (g->power[1]) { /* cOnstant, sTep, sQuare, rAmp */
    case 't': return low * t_s + rise * fmax(0, t_s - x);
    case 'q': into = t_s - floor(t_s / x) * x;
        return low * t_s + rise * (floor(t_s / x) * x * y + fmin(into, x * y));
    case 'a': into = fmin(fmax(t_s - x, 0), y);
        return low * t_s + rise * (into * into / (2 * y) + fmax(0, t_s - x - y));
    default: return low * t_s;
    }
}

static double updated_s(double t_s, double period_s, double phase_s) {
    return period_s > 0 ? floor((t_s - phase_s) / period_s) * period_s + phase_s : t_s;
}

static uint64_t counter_mj(const Gpu *g) {
    double t_s = updated_s(now_s(), g->counter[0], g->counter[1]), shown_j = g->base_j;
    shown_j += g->counter_gain * energy_j(g, t_s);
    if (t_s >= g->reset_s) shown_j = g->counter_gain * (energy_j(g, t_s) - energy_j(g, g->reset_s));
    if (t_s >= g->back[0]) shown_j -= g->back[1];
    return shown_j > 0 ? (uint64_t)(shown_j * 1e3) : 0;
}

static double boxcar_w(const Gpu *g, double update_s, double window_s, double phase_s, double *stamp_s) {
    *stamp_s = updated_s(now_s(), update_s, phase_s);
    return g->sensor_gain * (energy_j(g, *stamp_s) - energy_j(g, *stamp_s - window_s)) / window_s;
}

static int enter(const char *function) {
    int i = 0;
    while (*counted[i].function && strcmp(counted[i].function, function)) i++;
    if (!*counted[i].function) strcpy(counted[i].function, function);
    long call = __sync_add_and_fetch(&counted[i].calls, 1);
    virtual_ns += (int64_t)cost_ns;
    for (i = 0; i < n_rules; i++) {
        const Rule *r = &rules[i];
        if (strcmp(r->function, function) && strcmp(r->function, "*")) continue;
        if (r->kind == 'h' && call == r->call) usleep((useconds_t)(r->what * 1e6));
        if (r->kind == 'c' && call == r->call) raise(SIGKILL);
        if (r->kind == 'f' && call >= r->call) return (int)r->what;
    }
    return OK;
}
#define ENTER do { int code = enter(__func__); if (code) return code; if (!started) return UNINITIALIZED; } while (0)
#define GPU (&gpus[d->gpu])
#define WHOLE do { if (d->slice >= 0) return NOT_SUPPORTED; } while (0)
/* A function that stores one number about a whole GPU. */
#define NUMBER(function, type, value) \
    int function(Device *d, type *out) { ENTER; WHOLE; *out = (type)(value); return OK; }
/* The same with a kind (clock, sensor) between. */
#define KIND(function, value) \
    int function(Device *d, unsigned kind, unsigned *out) { ENTER; WHOLE; (void)kind; *out = (unsigned)(value); return OK; }
#define TEXT(function, type, value) \
    int function(type *d, char *out, unsigned size) { ENTER; (void)d; snprintf(out, size, "%s", value); return OK; }


int nvmlInitWithFlags(unsigned flags) {
    int code = enter(__func__);
    (void)flags;
    if (!code) started++;
    return code;
}
int nvmlShutdown(void) { ENTER; started--; return OK; }
const char *nvmlErrorString(int code) { (void)code; return "an error of the stub"; }
int nvmlSystemGetDriverVersion(char *out, unsigned size) { ENTER; snprintf(out, size, "580.0.stub"); return OK; }

/* Who is who. */
int nvmlDeviceGetCount_v2(unsigned *out) { ENTER; *out = (unsigned)n_gpus; return OK; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, Device **out) {
    ENTER;
    if ((int)i >= n_gpus) return INVALID;
    *out = &devices[i][0];
    return OK;
}
int nvmlDeviceGetHandleByUUID(const char *uuid, Device **out) {
    ENTER;
    for (int i = 0; i < n_gpus; i++) for (int s = 0; s <= n_slices[i]; s++)
        if (!strcmp(devices[i][s].uuid, uuid)) { *out = &devices[i][s]; return OK; }
    return NOT_FOUND;
}
static int bus_id(const char *text, unsigned id[4]) {
    id[0] = 0;
    if (sscanf(text, "%x:%x:%x.%x", &id[0], &id[1], &id[2], &id[3]) == 4) return 1;
    return sscanf(text, "%x:%x.%x", &id[1], &id[2], &id[3]) == 3;
}
int nvmlDeviceGetHandleByPciBusId_v2(const char *pci, Device **out) {
    unsigned asked[4], own[4];
    ENTER;
    if (!bus_id(pci, asked)) return INVALID;
    for (int i = 0; i < n_gpus; i++)
        if (bus_id(gpus[i].pci, own) && !memcmp(asked, own, sizeof own)) { *out = &devices[i][0]; return OK; }
    return NOT_FOUND;
}
TEXT(nvmlDeviceGetUUID, Device, d->uuid)
TEXT(nvmlDeviceGetName, Device, GPU->name)
typedef struct { char legacy[16]; unsigned domain, bus, device, pci_id, subsystem; char id[32]; } Pci;
int nvmlDeviceGetPciInfo_v3(Device *d, Pci *out) {
    unsigned id[4] = {0};
    ENTER;
    bus_id(GPU->pci, id);
    *out = (Pci){.domain = id[0], .bus = id[1], .device = id[2]};
    snprintf(out->id, sizeof out->id, "%s", GPU->pci);
    snprintf(out->legacy, sizeof out->legacy, "%04x:%02x:%02x.%x", id[0] & 0xffff, id[1] & 0xff, id[2] & 0xff, id[3] & 0xf);
    return OK;
}
NUMBER(nvmlDeviceGetIndex, unsigned, d->gpu)
NUMBER(nvmlDeviceGetArchitecture, unsigned, 9) /* Hopper */

/* Slices (MIG). */
int nvmlDeviceGetMigMode(Device *d, unsigned *current, unsigned *pending) {
    ENTER; WHOLE;
    if (GPU->mig < 0) return NOT_SUPPORTED;
    *current = *pending = (unsigned)GPU->mig;
    return OK;
}
int nvmlDeviceIsMigDeviceHandle(Device *d, unsigned *out) { ENTER; *out = d->slice >= 0; return OK; }
NUMBER(nvmlDeviceGetMaxMigDeviceCount, unsigned, SLICES)
int nvmlDeviceGetMigDeviceHandleByIndex(Device *d, unsigned i, Device **out) {
    ENTER; WHOLE;
    if ((int)i >= n_slices[d->gpu]) return NOT_FOUND;
    *out = &devices[d->gpu][i + 1];
    return OK;
}
int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(Device *d, Device **out) {
    ENTER; *out = &devices[d->gpu][0]; return OK;
}

/* Energy and power. */
NUMBER(nvmlDeviceGetTotalEnergyConsumption, uint64_t, counter_mj(GPU))
static unsigned average_mw(const Gpu *g) {
    double stamp_s;
    return (unsigned)(1e3 * boxcar_w(g, g->average[0], g->average[1], 0, &stamp_s));
}
NUMBER(nvmlDeviceGetPowerUsage, unsigned, average_mw(GPU))
NUMBER(nvmlDeviceGetEnforcedPowerLimit, unsigned, 1e3 * at(&GPU->limit_w, now_s()))
NUMBER(nvmlDeviceGetPowerManagementLimit, unsigned, 1e3 * at(&GPU->limit_w, now_s()))
NUMBER(nvmlDeviceGetPowerManagementDefaultLimit, unsigned, 1e3 * GPU->default_limit_w)
typedef struct { uint32_t id, scope; int64_t stamp_us, latency_us; unsigned type; int code; union { double d; unsigned u; uint64_t ull; } value; } Field;
int nvmlDeviceGetFieldValues(Device *d, int n, Field *f) {
    double stamp_s = 0;
    ENTER;
    for (; n-- > 0; f++) {
        f->code = d->slice >= 0 || f->scope ? NOT_SUPPORTED : OK;
        f->type = 1;
        if (f->id == 83) f->type = 3, f->value.ull = counter_mj(GPU);
        else if (f->id == 185) f->value.u = (unsigned)(1e3 * boxcar_w(GPU, GPU->average[0], GPU->average[1], 0, &stamp_s));
        else if (f->id == 186) f->value.u = (unsigned)(1e3 * boxcar_w(GPU, GPU->sensor[0], GPU->sensor[1], GPU->sensor[2], &stamp_s));
        else f->code = NOT_SUPPORTED;
        f->stamp_us = (int64_t)((stamp_s * 1e9 + epoch_ns) / 1e3);
    }
    return OK;
}

/* State. */
KIND(nvmlDeviceGetClockInfo, at(kind == 2 ? &GPU->mem_mhz : &GPU->sm_mhz, now_s()))
KIND(nvmlDeviceGetMaxClockInfo, kind == 2 ? GPU->mem_mhz.value[0] : GPU->max_sm_mhz)
KIND(nvmlDeviceGetTemperature, at(&GPU->temperature_c, now_s()))
NUMBER(nvmlDeviceGetCurrentClocksEventReasons, uint64_t, at(&GPU->reasons, now_s()))
NUMBER(nvmlDeviceGetCurrentClocksThrottleReasons, uint64_t, at(&GPU->reasons, now_s()))
NUMBER(nvmlDeviceGetPersistenceMode, unsigned, GPU->persistence)
NUMBER(nvmlDeviceGetMemoryBusWidth, unsigned, 5120)
int nvmlDeviceGetEccMode(Device *d, unsigned *current, unsigned *pending) {
    ENTER; WHOLE;
    if (GPU->ecc_mode < 0) return NOT_SUPPORTED;
    *current = *pending = (unsigned)GPU->ecc_mode;
    return OK;
}
int nvmlDeviceGetTotalEccErrors(Device *d, unsigned type, unsigned since, uint64_t *out) {
    ENTER; WHOLE; (void)since;
    if (GPU->ecc_mode <= 0) return NOT_SUPPORTED;
    *out = (uint64_t)at(type ? &GPU->uncorrected : &GPU->corrected, now_s());
    return OK;
}

/* Memory: `used_bytes` is without the driver's reserve. */
typedef struct { uint64_t total, free, used; } Memory;
typedef struct { unsigned version; uint64_t total, reserved, free, used; } Memory2;
int nvmlDeviceGetMemoryInfo(Device *d, Memory *out) {
    ENTER;
    uint64_t used = (uint64_t)at(&GPU->used_bytes, now_s()), kept = (uint64_t)GPU->reserved_bytes;
    out->total = (uint64_t)GPU->total_bytes;
    out->free = out->total - used - kept;
    out->used = GPU->v1_reserved ? used + kept : used;
    return OK;
}
int nvmlDeviceGetMemoryInfo_v2(Device *d, Memory2 *out) {
    ENTER;
    if (!GPU->has_v2) return 13;
    if (out->version != 0x02000028) return 25;
    uint64_t used = (uint64_t)at(&GPU->used_bytes, now_s());
    out->total = (uint64_t)GPU->total_bytes;
    out->reserved = (uint64_t)GPU->reserved_bytes;
    out->free = out->total - used - out->reserved;
    out->used = GPU->v2_reserved ? used + out->reserved : used;
    return OK;
}
typedef struct { unsigned pid; uint64_t used; unsigned gpu_instance, compute_instance; } Process;
static int processes(const char *text, unsigned *count, Process *out) { /* PID|self|parent:BYTES|none */
    char *list = strdup(text), *rest = list, *one;
    unsigned n = 0, room = out ? *count : 0;
    while (*list && (one = strsep(&rest, ","))) {
        char *bytes = strchr(one, ':');
        unsigned pid = !strncmp(one, "self", 4) ? (unsigned)getpid() : !strncmp(one, "parent", 6) ? (unsigned)getppid() : (unsigned)atol(one);
        uint64_t used = bytes && strcmp(bytes, ":none") ? strtoull(bytes + 1, NULL, 10) : UINT64_MAX;
        if (n < room) out[n] = (Process){pid, used, 0xffffffff, 0xffffffff};
        n++;
    }
    free(list);
    *count = n;
    return n > room ? TOO_SMALL : OK;
}
int nvmlDeviceGetComputeRunningProcesses_v3(Device *d, unsigned *n, Process *out) { ENTER; return processes(GPU->processes, n, out); }
int nvmlDeviceGetGraphicsRunningProcesses_v3(Device *d, unsigned *n, Process *out) { ENTER; return processes(GPU->graphics, n, out); }

/* GPM: means between two samples. */
typedef struct { int gpu; double at_s; } Sample;
typedef struct { unsigned id; int code; double value; const char *names[3]; } Metric;
typedef struct { unsigned version, n; Sample *first, *second; Metric metrics[]; } MetricsGet;
typedef struct { unsigned version, supported; } Support;
int nvmlGpmQueryDeviceSupport(Device *d, Support *out) { ENTER; WHOLE; out->supported = GPU->has_gpm > 0; return OK; }
int nvmlGpmSampleAlloc(Sample **out) { ENTER; *out = calloc(1, sizeof **out); return OK; }
int nvmlGpmSampleFree(Sample *sample) { ENTER; free(sample); return OK; }
int nvmlGpmSampleGet(Device *d, Sample *sample) {
    ENTER; WHOLE;
    if (!GPU->has_gpm) return NOT_SUPPORTED;
    *sample = (Sample){d->gpu, now_s()};
    return OK;
}
int nvmlGpmMetricsGet(MetricsGet *get) {
    ENTER;
    double t0_s = get->first->at_s, t1_s = get->second->at_s;
    const Gpu *g = &gpus[get->first->gpu];
    if (t1_s - t0_s < GPM_MIN_S) return INVALID;
    for (unsigned i = 0; i < get->n; i++) {
        Metric *m = &get->metrics[i];
        const Schedule *s = m->id == 2 ? &g->gpm_sm : m->id == 3 ? &g->gpm_occupancy : m->id == 5 ? &g->gpm_tensor
                          : m->id == 7 ? &g->gpm_hmma : m->id == 10 ? &g->gpm_dram : NULL;
        m->code = s && s->value[0] >= 0 ? OK : NOT_SUPPORTED;
        if (m->code == OK) m->value = mean(s, t0_s, t1_s);
    }
    return OK;
}

/* For the tests. */
void stub_set_time_ns(int64_t ns) { virtual_ns = ns; }
int64_t stub_time_ns(void) { return now_ns(); }
double stub_true_energy_j(int gpu, int64_t t0_ns, int64_t t1_ns) {
    return energy_j(&gpus[gpu], seconds(t1_ns)) - energy_j(&gpus[gpu], seconds(t0_ns));
}
long stub_calls(const char *function) {
    for (int i = 0; *counted[i].function; i++)
        if (!strcmp(counted[i].function, function)) return counted[i].calls;
    return 0;
}
__attribute__((constructor)) static void loaded(void) { stub_reload(); }
