//! Imports what no host gives.

mod bindings {
    wit_bindgen::generate!({
        inline: "
            package test:hostile;
            interface secrets { read: func() -> string; }
            world guest {
                import secrets;
                export run: func() -> result<_, string>;
            }
        ",
        world: "guest",
    });
}

struct Guest;

impl bindings::Guest for Guest {
    fn run() -> Result<(), String> {
        Err(bindings::test::hostile::secrets::read())
    }
}

bindings::export!(Guest with_types_in bindings);
