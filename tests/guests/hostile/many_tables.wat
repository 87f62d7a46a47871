;; Has 100 instances of ten tables of 999,999 entries: 8 GB in all. Each table alone is within the limit.
(component
  (component $ten
    (core module $many
      (table 999999 funcref) (table 999999 funcref) (table 999999 funcref) (table 999999 funcref) (table 999999 funcref)
      (table 999999 funcref) (table 999999 funcref) (table 999999 funcref) (table 999999 funcref) (table 999999 funcref))
    (core instance (instantiate $many)) (core instance (instantiate $many))
    (core instance (instantiate $many)) (core instance (instantiate $many))
    (core instance (instantiate $many)) (core instance (instantiate $many))
    (core instance (instantiate $many)) (core instance (instantiate $many))
    (core instance (instantiate $many)) (core instance (instantiate $many)))
  (instance (instantiate $ten)) (instance (instantiate $ten)) (instance (instantiate $ten)) (instance (instantiate $ten)) (instance (instantiate $ten))
  (instance (instantiate $ten)) (instance (instantiate $ten)) (instance (instantiate $ten)) (instance (instantiate $ten)) (instance (instantiate $ten))
  ;; No function is called.
  (component $nothing)
  (instance $script (instantiate $nothing))
  (export "llem:experiment/script@VERSION" (instance $script)))
