//! A model on several ranks: tensor and pipeline parallelism, and replicas that share the requests.
//!
//! ```text
//! Model ─┬─ Replica 0 ── leader ──────┐ stage 0 ┐
//!        │      │ RankCommand         │ tensor  │ pipeline      each rank: Rank = Decoder (its layers,
//!        │      └───► rank 1 ─────────┘ group   │ groups        its shard of each) + KV caches
//!        │      └───► rank 2, 3 ──────  stage 1 ┘
//!        └─ Replica 1 ── ...
//! ```
//!
//! The leader decides what is run and sends commands to the other ranks. During a command, ranks meet only in the
//! [`Communicator`]s of their groups. They run the same code whether the group is made of threads of this process, of
//! processes over sockets, or of GPUs over NCCL.
//!
//! Start at [`Split`] (how a model is split), [`Replica`] (one copy of a model on its ranks), [`rank::Rank`] (one
//! rank's part), [`World`] (ranks that are processes) and [`failure::FailureState`] (what happens when a rank fails
//! or hangs).

mod communicator;
mod cpu_group;
mod device_group;
pub(crate) mod failure;
mod group_ids;
mod group_membership;
mod launch_environment;
mod microbatches;
mod nccl_init;
pub(crate) mod rank;
pub(crate) mod rank_command;
mod rank_device;
mod rendezvous;
pub(crate) mod replica;
mod shard;
mod socket_transport;
pub(crate) mod split;
mod thread_transport;
mod worker;
pub(crate) mod world;

pub(crate) use communicator::{Communicator, Solo};
pub(crate) use device_group::DeviceGroup;
pub use group_ids::COMMUNICATOR_VARIABLE;
pub use launch_environment::launcher_variables;
pub use rank_command::CommunicationTimeError;
pub(crate) use replica::{BatchMemory, Replica, ReplicaConfig};
pub(crate) use shard::Shard;
pub use split::Split;
pub use world::World;
