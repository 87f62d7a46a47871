;; Writes a file of 2^31 bytes out of a memory of 64 KiB.
(module
  (import "llem:experiment/report@0.1.0" "write-artifact" (func $write (param i32 i32 i32 i32 i32)))
  (memory (export "memory") 1)
  ;; What `describe` returns: name, version, summary, no parameters, no datasets. `run`'s good end is at 48.
  (data (i32.const 0) "\40\00\00\00\05\00\00\00\48\00\00\00\05\00\00\00\50\00\00\00\05\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
  (data (i32.const 64) "plain\00\00\000.1.0\00\00\00evil.")
  (func (export "describe") (result i32) i32.const 0)
  (global $next (mut i32) (i32.const 1024))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    global.get $next
    (global.set $next (i32.add (global.get $next) (i32.and (i32.add (local.get 3) (i32.const 7)) (i32.const -8)))))
  (func (export "run") (result i32)
    (call $write (i32.const 64) (i32.const 5) (i32.const 0) (i32.const 0x80000000) (i32.const 256))
    i32.const 48)
)
