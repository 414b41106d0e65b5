/* Wasmtime, measured through its C library: one run per process, one JSON object of nanoseconds on standard output.
 *
 *   wasmtime_driver program FILE.wasm FOLDER STDOUT STDERR   compile, then run with WASI and bench.start/bench.end
 *   wasmtime_driver micro FOLDER                             the small costs, over the modules that `peers` writes there
 *   wasmtime_driver trivial FILE.wasm                        what `wasmtime run FILE.wasm` does, for the time of a process
 *
 * The few functions of the C API it needs are declared here, so that the shared library alone is enough to build it: see
 * build.sh. Figures are CPU time of the process for compiling and of the thread for running, wall time where it says so.
 */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct wasm_config wasm_config;
typedef struct wasm_engine wasm_engine;
typedef struct wasm_functype wasm_functype;
typedef struct wasm_trap wasm_trap;
typedef struct wasmtime_error wasmtime_error;
typedef struct wasmtime_module wasmtime_module;
typedef struct wasmtime_store wasmtime_store;
typedef struct wasmtime_context wasmtime_context;
typedef struct wasmtime_linker wasmtime_linker;
typedef struct wasmtime_caller wasmtime_caller;
typedef struct wasmtime_instance_pre wasmtime_instance_pre;
typedef struct wasmtime_pooling wasmtime_pooling;
typedef struct wasi_config wasi_config;
typedef struct { size_t size; char *data; } wasm_byte_vec;
typedef struct { size_t size; void **data; } wasm_valtype_vec;
typedef struct { uint64_t store_id; void *private_data; } wasmtime_func;
typedef struct { uint64_t store_id; size_t private_data; } wasmtime_instance;
typedef struct { uint8_t kind; union { wasmtime_func func; uint64_t room[4]; } of; } wasmtime_extern;
typedef union { int32_t i32; int64_t i64; uint8_t v128[16]; void *funcref; } wasmtime_val_raw;
typedef wasm_trap *(*func_callback)(void *, wasmtime_caller *, const void *, size_t, void *, size_t);
typedef wasm_trap *(*unchecked_callback)(void *, wasmtime_caller *, wasmtime_val_raw *, size_t);

extern wasm_config *wasm_config_new(void);
extern void wasmtime_config_wasm_gc_set(wasm_config *, bool);
extern void wasmtime_config_wasm_function_references_set(wasm_config *, bool);
extern void wasmtime_config_wasm_exceptions_set(wasm_config *, bool);
extern wasm_engine *wasm_engine_new_with_config(wasm_config *);
extern wasm_functype *wasm_functype_new(wasm_valtype_vec *, wasm_valtype_vec *);
extern void wasm_functype_delete(wasm_functype *);
extern void wasm_valtype_vec_new_empty(wasm_valtype_vec *);
extern void wasm_byte_vec_delete(wasm_byte_vec *);
extern void wasm_trap_message(const wasm_trap *, wasm_byte_vec *);
extern void wasmtime_error_message(const wasmtime_error *, wasm_byte_vec *);
extern bool wasmtime_error_exit_status(const wasmtime_error *, int *);
extern wasmtime_error *wasmtime_module_new(wasm_engine *, const uint8_t *, size_t, wasmtime_module **);
extern wasmtime_error *wasmtime_module_serialize(wasmtime_module *, wasm_byte_vec *);
extern wasmtime_error *wasmtime_module_deserialize(wasm_engine *, const uint8_t *, size_t, wasmtime_module **);
extern void wasmtime_module_delete(wasmtime_module *);
extern wasmtime_store *wasmtime_store_new(wasm_engine *, void *, void (*)(void *));
extern wasmtime_context *wasmtime_store_context(wasmtime_store *);
extern void wasmtime_store_delete(wasmtime_store *);
extern wasmtime_error *wasmtime_context_set_wasi(wasmtime_context *, wasi_config *);
extern wasmtime_linker *wasmtime_linker_new(wasm_engine *);
extern wasmtime_error *wasmtime_linker_define_wasi(wasmtime_linker *);
extern wasmtime_error *wasmtime_linker_define_func(wasmtime_linker *, const char *, size_t, const char *, size_t,
                                                   const wasm_functype *, func_callback, void *, void (*)(void *));
extern wasmtime_error *wasmtime_linker_define_func_unchecked(wasmtime_linker *, const char *, size_t, const char *, size_t,
                                                             const wasm_functype *, unchecked_callback, void *,
                                                             void (*)(void *));
extern wasmtime_error *wasmtime_linker_instantiate(const wasmtime_linker *, wasmtime_context *, const wasmtime_module *,
                                                   wasmtime_instance *, wasm_trap **);
extern wasmtime_error *wasmtime_linker_instantiate_pre(const wasmtime_linker *, const wasmtime_module *,
                                                       wasmtime_instance_pre **);
extern wasmtime_error *wasmtime_instance_pre_instantiate(const wasmtime_instance_pre *, wasmtime_context *,
                                                         wasmtime_instance *, wasm_trap **);
extern bool wasmtime_instance_export_get(wasmtime_context *, const wasmtime_instance *, const char *, size_t,
                                         wasmtime_extern *);
extern wasmtime_error *wasmtime_func_call(wasmtime_context *, const wasmtime_func *, const void *, size_t, void *, size_t,
                                          wasm_trap **);
extern wasmtime_error *wasmtime_func_call_unchecked(wasmtime_context *, const wasmtime_func *, wasmtime_val_raw *, size_t,
                                                    wasm_trap **);
extern wasmtime_pooling *wasmtime_pooling_allocation_config_new(void);
extern void wasmtime_pooling_allocation_strategy_set(wasm_config *, const wasmtime_pooling *);
extern wasi_config *wasi_config_new(void);
extern bool wasi_config_set_argv(wasi_config *, size_t, const char **);
extern void wasi_config_inherit_stdin(wasi_config *);
extern void wasi_config_inherit_stdout(wasi_config *);
extern void wasi_config_inherit_stderr(wasi_config *);
extern bool wasi_config_set_stdout_file(wasi_config *, const char *);
extern bool wasi_config_set_stderr_file(wasi_config *, const char *);
extern bool wasi_config_preopen_dir(wasi_config *, const char *, const char *, bool);

static double now(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}
static double process_cpu(void) { return now(CLOCK_PROCESS_CPUTIME_ID); }
static double thread_cpu(void) { return now(CLOCK_THREAD_CPUTIME_ID); }
static double wall(void) { return now(CLOCK_MONOTONIC); }

static void fail(const char *what, wasmtime_error *error, wasm_trap *trap) {
  wasm_byte_vec text = {0, NULL};
  if (error) wasmtime_error_message(error, &text);
  else if (trap) wasm_trap_message(trap, &text);
  fprintf(stderr, "%s: %.*s\n", what, (int)text.size, text.data ? text.data : "");
  exit(1);
}
static void check(const char *what, wasmtime_error *error) {
  if (error) fail(what, error, NULL);
}

static uint8_t *read_file(const char *folder, const char *name, size_t *size) {
  char path[4096];
  snprintf(path, sizeof path, "%s%s%s", folder, *folder ? "/" : "", name);
  FILE *file = fopen(path, "rb");
  if (!file) { perror(path); exit(1); }
  fseek(file, 0, SEEK_END);
  *size = (size_t)ftell(file);
  rewind(file);
  uint8_t *bytes = malloc(*size + 1);
  if (fread(bytes, 1, *size, file) != *size) { perror(path); exit(1); }
  fclose(file);
  return bytes;
}

static wasm_engine *engine_new(bool pooled) {
  wasm_config *config = wasm_config_new();
  wasmtime_config_wasm_function_references_set(config, true);
  wasmtime_config_wasm_gc_set(config, true);
  wasmtime_config_wasm_exceptions_set(config, true);
  if (pooled) wasmtime_pooling_allocation_strategy_set(config, wasmtime_pooling_allocation_config_new());
  return wasm_engine_new_with_config(config);
}

static wasmtime_module *compile(wasm_engine *engine, const uint8_t *bytes, size_t size) {
  wasmtime_module *module;
  check("compile", wasmtime_module_new(engine, bytes, size, &module));
  return module;
}

static wasm_functype *type_void(void) {
  wasm_valtype_vec params, results;
  wasm_valtype_vec_new_empty(&params);
  wasm_valtype_vec_new_empty(&results);
  return wasm_functype_new(&params, &results);
}

/* ---- program */

static double exec_cpu, exec_wall;

static wasm_trap *bench_start(void *env, wasmtime_caller *c, const void *a, size_t na, void *r, size_t nr) {
  (void)env, (void)c, (void)a, (void)na, (void)r, (void)nr;
  exec_wall = wall();
  exec_cpu = thread_cpu();
  return NULL;
}
static wasm_trap *bench_end(void *env, wasmtime_caller *c, const void *a, size_t na, void *r, size_t nr) {
  (void)env, (void)c, (void)a, (void)na, (void)r, (void)nr;
  exec_cpu = thread_cpu() - exec_cpu;
  exec_wall = wall() - exec_wall;
  return NULL;
}

static void define(wasmtime_linker *linker, const char *module, const char *name, func_callback body) {
  wasm_functype *type = type_void();
  check("define", wasmtime_linker_define_func(linker, module, strlen(module), name, strlen(name), type, body, NULL, NULL));
  wasm_functype_delete(type);
}

/* Runs `_start` and gives the exit status. */
static int run_start(wasm_engine *engine, wasmtime_module *module, wasi_config *wasi) {
  wasmtime_linker *linker = wasmtime_linker_new(engine);
  check("wasi", wasmtime_linker_define_wasi(linker));
  define(linker, "bench", "start", bench_start);
  define(linker, "bench", "end", bench_end);
  wasmtime_store *store = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_context *context = wasmtime_store_context(store);
  check("wasi context", wasmtime_context_set_wasi(context, wasi));
  wasmtime_instance instance;
  wasm_trap *trap = NULL;
  wasmtime_error *error = wasmtime_linker_instantiate(linker, context, module, &instance, &trap);
  if (error || trap) fail("instantiate", error, trap);
  wasmtime_extern start;
  if (!wasmtime_instance_export_get(context, &instance, "_start", 6, &start)) fail("no _start", NULL, NULL);
  error = wasmtime_func_call(context, &start.of.func, NULL, 0, NULL, 0, &trap);
  int status = 0;
  if (error && !wasmtime_error_exit_status(error, &status)) fail("run", error, NULL);
  if (trap) fail("run", NULL, trap);
  wasmtime_store_delete(store);
  return status;
}

static int program(char **args) {
  size_t size;
  uint8_t *bytes = read_file("", args[0], &size);
  wasm_engine *engine = engine_new(false);
  double best_cpu = 0, best_wall = 0, first_cpu = 0, spent = 0;
  wasmtime_module *module = NULL;
  for (int round = 0; round < 5 && (round < 2 || spent < 3e8); round++) {
    if (module) wasmtime_module_delete(module);
    double w = wall(), c = process_cpu();
    module = compile(engine, bytes, size);
    c = process_cpu() - c, w = wall() - w;
    spent += w;
    if (round == 0) first_cpu = c;
    if (round == 0 || c < best_cpu) best_cpu = c;
    if (round == 0 || w < best_wall) best_wall = w;
  }
  const char *name = "program.wasm";
  wasi_config *wasi = wasi_config_new();
  wasi_config_set_argv(wasi, 1, &name);
  if (!wasi_config_preopen_dir(wasi, args[1], ".", true)) fail("folder", NULL, NULL);
  if (!wasi_config_set_stdout_file(wasi, args[2]) || !wasi_config_set_stderr_file(wasi, args[3])) fail("output", NULL, NULL);
  int status = run_start(engine, module, wasi);
  printf("{\"compile_first_cpu\":%.0f,\"compile_cpu\":%.0f,\"compile_wall\":%.0f,\"exec_cpu\":%.0f,\"exec_wall\":%.0f}\n",
         first_cpu, best_cpu, best_wall, exec_cpu, exec_wall);
  return status;
}

static int trivial(char **args) {
  size_t size;
  uint8_t *bytes = read_file("", args[0], &size);
  wasm_engine *engine = engine_new(false);
  wasmtime_module *module = compile(engine, bytes, size);
  const char *name = "trivial.wasm";
  wasi_config *wasi = wasi_config_new();
  wasi_config_set_argv(wasi, 1, &name);
  wasi_config_inherit_stdin(wasi);
  wasi_config_inherit_stdout(wasi);
  wasi_config_inherit_stderr(wasi);
  return run_start(engine, module, wasi);
}

/* ---- micro */

enum { REPEATS = 7 };

static wasm_trap *nop(void *env, wasmtime_caller *c, wasmtime_val_raw *a, size_t n) {
  (void)env, (void)c, (void)a, (void)n;
  return NULL;
}

/* Compiling and instantiating, `count` times; the best of some repetitions, per module. */
static void one_function(const uint8_t *bytes, size_t size, double *cpu, double *time) {
  wasm_engine *engine = engine_new(false);
  wasmtime_linker *linker = wasmtime_linker_new(engine);
  const int count = 100;
  *cpu = *time = 1e18;
  for (int repeat = 0; repeat < REPEATS; repeat++) {
    double w = wall(), c = process_cpu();
    for (int i = 0; i < count; i++) {
      wasmtime_module *module = compile(engine, bytes, size);
      wasmtime_store *store = wasmtime_store_new(engine, NULL, NULL);
      wasmtime_instance instance;
      wasm_trap *trap = NULL;
      check("instantiate", wasmtime_linker_instantiate(linker, wasmtime_store_context(store), module, &instance, &trap));
      wasmtime_store_delete(store);
      wasmtime_module_delete(module);
    }
    c = (process_cpu() - c) / count, w = (wall() - w) / count;
    if (c < *cpu) *cpu = c;
    if (w < *time) *time = w;
  }
}

static double instantiate(const uint8_t *bytes, size_t size, bool pooled) {
  wasm_engine *engine = engine_new(pooled);
  wasmtime_module *module = compile(engine, bytes, size);
  wasmtime_linker *linker = wasmtime_linker_new(engine);
  wasmtime_instance_pre *pre;
  check("prepare", wasmtime_linker_instantiate_pre(linker, module, &pre));
  const int count = 2000;
  double best = 1e18;
  for (int repeat = 0; repeat < REPEATS; repeat++) {
    double c = thread_cpu();
    for (int i = 0; i < count; i++) {
      wasmtime_store *store = wasmtime_store_new(engine, NULL, NULL);
      wasmtime_instance instance;
      wasm_trap *trap = NULL;
      check("instantiate", wasmtime_instance_pre_instantiate(pre, wasmtime_store_context(store), &instance, &trap));
      wasmtime_store_delete(store);
    }
    c = (thread_cpu() - c) / count;
    if (c < best) best = c;
  }
  return best;
}

static wasmtime_func function(wasmtime_context *context, wasmtime_instance *instance, const char *name) {
  wasmtime_extern item;
  if (!wasmtime_instance_export_get(context, instance, name, strlen(name), &item)) fail(name, NULL, NULL);
  return item.of.func;
}

/* One call of `name(count)`, which loops inside wasm; best of some repetitions, per turn. */
static double looped(wasmtime_context *context, wasmtime_instance *instance, const char *name, int count) {
  wasmtime_func func = function(context, instance, name);
  double best = 1e18;
  for (int repeat = 0; repeat < REPEATS; repeat++) {
    wasmtime_val_raw value = {.i32 = count};
    wasm_trap *trap = NULL;
    double c = thread_cpu();
    check(name, wasmtime_func_call_unchecked(context, &func, &value, 1, &trap));
    if (trap) fail(name, NULL, trap);
    c = (thread_cpu() - c) / count;
    if (c < best) best = c;
  }
  return best;
}

static double host_to_wasm(wasmtime_context *context, wasmtime_instance *instance, int count) {
  wasmtime_func add = function(context, instance, "add");
  double best = 1e18;
  for (int repeat = 0; repeat < REPEATS; repeat++) {
    int32_t sum = 0;
    double c = thread_cpu();
    for (int i = 0; i < count; i++) {
      wasmtime_val_raw values[2] = {{.i32 = sum}, {.i32 = 1}};
      wasm_trap *trap = NULL;
      if (wasmtime_func_call_unchecked(context, &add, values, 2, &trap) || trap) fail("add", NULL, trap);
      sum = values[0].i32;
    }
    c = (thread_cpu() - c) / count;
    if (sum != count) fail("add gave another sum", NULL, NULL);
    if (c < best) best = c;
  }
  return best;
}

/* The loops that `objects.rows` names, printed as members of an object. */
static void objects(const char *folder) {
  size_t size;
  uint8_t *bytes = read_file(folder, "objects.wasm", &size);
  wasm_engine *engine = engine_new(false);
  wasmtime_module *module = compile(engine, bytes, size);
  wasmtime_store *store = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_context *context = wasmtime_store_context(store);
  wasmtime_instance instance;
  wasm_trap *trap = NULL;
  check("instantiate", wasmtime_linker_instantiate(wasmtime_linker_new(engine), context, module, &instance, &trap));
  char path[4096], key[64];
  int count;
  snprintf(path, sizeof path, "%s/objects.rows", folder);
  FILE *rows = fopen(path, "r");
  if (!rows) { perror(path); exit(1); }
  while (fscanf(rows, "%63s %d", key, &count) == 2)
    printf("\"%s\":%.3f,", key, looped(context, &instance, key, count));
  fclose(rows);
}

static int micro(char **args) {
  size_t size;
  double cpu, time;
  uint8_t *bytes = read_file(args[0], "one_function.wasm", &size);
  one_function(bytes, size, &cpu, &time);
  bytes = read_file(args[0], "calls.wasm", &size);
  wasm_engine *engine = engine_new(false);
  wasmtime_module *module = compile(engine, bytes, size);
  wasmtime_linker *linker = wasmtime_linker_new(engine);
  check("define", wasmtime_linker_define_func_unchecked(linker, "host", 4, "nop", 3, type_void(), nop, NULL, NULL));
  wasmtime_store *store = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_context *context = wasmtime_store_context(store);
  wasmtime_instance instance;
  wasm_trap *trap = NULL;
  check("instantiate", wasmtime_linker_instantiate(linker, context, module, &instance, &trap));
  double call = host_to_wasm(context, &instance, 1000000);
  double host = looped(context, &instance, "host_loop", 1000000);
  double indirect = looped(context, &instance, "indirect_loop", 10000000);
  bytes = read_file(args[0], "data.wasm", &size);
  double on_demand = instantiate(bytes, size, false), pooled = instantiate(bytes, size, true);
  printf("{");
  objects(args[0]);
  printf("\"one_function_cpu\":%.1f,\"one_function_wall\":%.1f,\"host_to_wasm\":%.3f,\"wasm_to_host\":%.3f,"
         "\"indirect\":%.3f,\"data_on_demand\":%.1f,\"data_pooled\":%.1f}\n",
         cpu, time, call, host, indirect, on_demand, pooled);
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 6 && !strcmp(argv[1], "program")) return program(argv + 2);
  if (argc == 3 && !strcmp(argv[1], "micro")) return micro(argv + 2);
  if (argc == 3 && !strcmp(argv[1], "trivial")) return trivial(argv + 2);
  fprintf(stderr, "usage: wasmtime_driver program FILE FOLDER STDOUT STDERR | micro FOLDER | trivial FILE\n");
  return 2;
}
