;; Calls the host while the host asks it for memory.
(module
  (import "llem:experiment/inputs@0.1.0" "parameter" (func $parameter (param i32 i32 i32)))
  (import "llem:experiment/report@0.1.0" "warn" (func $warn (param i32 i32)))
  (memory (export "memory") 1)
  ;; What `describe` returns: name, version, summary, no parameters, no datasets. `run`'s good end is at 48.
  (data (i32.const 0) "\40\00\00\00\05\00\00\00\48\00\00\00\05\00\00\00\50\00\00\00\05\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
  (data (i32.const 64) "plain\00\00\000.1.0\00\00\00evil.")
  (func (export "describe") (result i32) i32.const 0)
  (func (export "run") (result i32)
    (call $parameter (i32.const 64) (i32.const 5) (i32.const 256))
    i32.const 48)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (call $warn (i32.const 64) (i32.const 5))
    i32.const 1024)
)
