;; Reports a table of 100,000 heads, all of which are one megabyte of its memory.
(module
  (import "llem:experiment/report@0.1.0" "add-table" (func $table (param i32 i32 i32 i32 i32 i32 i32)))
  (memory (export "memory") 64)
  ;; What `describe` returns: name, version, summary, no parameters, no datasets. `run`'s good end is at 48.
  (data (i32.const 0) "\40\00\00\00\05\00\00\00\48\00\00\00\05\00\00\00\50\00\00\00\05\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
  (data (i32.const 64) "plain\00\00\000.1.0\00\00\00evil.")
  (func (export "describe") (result i32) i32.const 0)
  (global $next (mut i32) (i32.const 1024))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    global.get $next
    (global.set $next (i32.add (global.get $next) (i32.and (i32.add (local.get 3) (i32.const 7)) (i32.const -8)))))
  (func (export "run") (result i32)
    (local $head i32)
    (local.set $head (i32.const 0x200000))
    (loop $again
      (i32.store (local.get $head) (i32.const 0x100000))
      (i32.store offset=4 (local.get $head) (i32.const 0x100000))
      (local.set $head (i32.add (local.get $head) (i32.const 8)))
      (br_if $again (i32.lt_u (local.get $head) (i32.const 0x2c3500))))
    (call $table (i32.const 64) (i32.const 5) (i32.const 0x200000) (i32.const 100000) (i32.const 0) (i32.const 0) (i32.const 256))
    i32.const 48)
)
