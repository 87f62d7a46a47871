;; Warns of what is no UTF-8.
(module
  (import "llem:experiment/report@0.1.0" "warn" (func $warn (param i32 i32)))
  (memory (export "memory") 1)
  ;; What `describe` returns: name, version, summary, no parameters, no datasets. `run`'s good end is at 48.
  (data (i32.const 0) "\40\00\00\00\05\00\00\00\48\00\00\00\05\00\00\00\50\00\00\00\05\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
  (data (i32.const 64) "plain\00\00\000.1.0\00\00\00evil.")
  (func (export "describe") (result i32) i32.const 0)
  (data (i32.const 128) "\f0\9f\92")
  (func (export "run") (result i32)
    (call $warn (i32.const 128) (i32.const 3))
    i32.const 48)
)
