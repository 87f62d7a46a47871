;; Ends with a sentence that lies beyond its memory.
(module
  (memory (export "memory") 1)
  ;; What `describe` returns: name, version, summary, no parameters, no datasets. `run`'s good end is at 48.
  (data (i32.const 0) "\40\00\00\00\05\00\00\00\48\00\00\00\05\00\00\00\50\00\00\00\05\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
  (data (i32.const 64) "plain\00\00\000.1.0\00\00\00evil.")
  (func (export "describe") (result i32) i32.const 0)
  (data (i32.const 128) "\01\00\00\00\00\00\00\f0\ff\ff\ff\7f")
  (func (export "run") (result i32) i32.const 128)
)
