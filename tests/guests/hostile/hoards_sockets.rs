//! Creates sockets without end, to use up the file descriptors of the host.

use llem_sdk::prelude::*;
use test_guests::wasi::sockets::{
    network::IpAddressFamily, tcp_create_socket::create_tcp_socket,
    udp_create_socket::create_udp_socket,
};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("hoards-sockets", "0.1.0", "Makes sockets without end.")
}

fn run() -> Result<()> {
    let mut hoard = (Vec::new(), Vec::new());
    loop {
        hoard.0.extend(create_tcp_socket(IpAddressFamily::Ipv4));
        hoard.1.extend(create_udp_socket(IpAddressFamily::Ipv6));
    }
}
