;; Reports a table of 100,000 column heads, which all point to the same megabyte of its memory.
(module
  (import "llem:experiment/description@VERSION" "[constructor]about"
    (func $about (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "llem:experiment/report@VERSION" "add-table" (func $table (param i32 i32 i32 i32 i32 i32 i32)))
  (memory (export "memory") 64)
  ;; The result of `describe` (name, version and summary), and at 48 the result of a successful `run`.
  (data (i32.const 64) "plain\00\00\000.1.0\00\00\00evil.")
  (func (export "llem:experiment/script@VERSION#describe") (result i32)
    (call $about (i32.const 64) (i32.const 5) (i32.const 72) (i32.const 5) (i32.const 80) (i32.const 5)))
  (global $next (mut i32) (i32.const 1024))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    global.get $next
    (global.set $next (i32.add (global.get $next) (i32.and (i32.add (local.get 3) (i32.const 7)) (i32.const -8)))))
  (func (export "llem:experiment/script@VERSION#run") (result i32)
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
