//! A group of ranks whose tensors are on GPUs, over NCCL. Calls are queued on the rank's stream: the host
//! does not wait for them, and so does not know how long they take.

use super::{
    Communicator, Solo, Split,
    communicator::time_unknown,
    fate::Fate,
    group_ids::{GroupIds, is_nccl_asked},
};
use crate::{Error, Result};
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, DType, Device, Layout, Shape, Tensor,
    backend::BackendStorage,
    cuda_backend::{
        CudaDType,
        cudarc::{
            driver::DeviceRepr,
            nccl::{Comm, Id, NcclType, ReduceOp},
        },
    },
};
use half::{bf16, f16};
use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// How a rank finds the others of its two groups.
pub struct Invitation {
    rank: usize,
    tensor: Option<Membership>,
    pipeline: Option<Membership>,
    fate: Arc<Fate>,
}

/// A rank's membership of a group.
struct Membership {
    id: Id,
    index: usize,
    size: usize,
}

/// Makes the ids of each rank's groups. One rank makes them for all.
pub fn group_ids(split: &Split) -> Result<Vec<GroupIds>> {
    // A group of one is only asked for to try NCCL on a machine with one GPU.
    let least = if is_nccl_asked() { 1 } else { 2 };
    let ids = |size: usize, count: usize| -> Result<Vec<Option<Vec<u8>>>> {
        (0..count).map(|_| (size >= least).then(new_id).transpose()).collect()
    };
    let stages = ids(split.tensor, split.pipeline)?;
    let pipelines = ids(split.pipeline, split.tensor)?;
    let of_rank = |index: usize| GroupIds {
        tensor: stages[index / split.tensor].clone(),
        pipeline: pipelines[index % split.tensor].clone(),
    };
    Ok((0..split.ranks_of_replica()).map(of_rank).collect())
}

fn new_id() -> Result<Vec<u8>> {
    let id = Id::new().map_err(failed)?;
    Ok(id.internal().iter().map(|&byte| byte as u8).collect())
}

impl Invitation {
    /// That of rank `index` of a replica, whose number among all ranks is `rank`.
    pub fn new(
        split: &Split,
        index: usize,
        rank: usize,
        ids: GroupIds,
        fate: &Arc<Fate>,
    ) -> Result<Self> {
        let membership = |id: Option<Vec<u8>>, index, size| {
            let bytes = |id: Vec<u8>| {
                let bytes: Vec<_> = id.into_iter().map(|byte| byte as _).collect();
                let unusable = |_| Error::Invalid("NCCL's id has not 128 bytes".to_owned());
                bytes.try_into().map_err(unusable)
            };
            let id = id.map(bytes).transpose()?.map(Id::uninit);
            Ok::<_, Error>(id.map(|id| Membership { id, index, size }))
        };
        Ok(Self {
            rank,
            tensor: membership(ids.tensor, index % split.tensor, split.tensor)?,
            pipeline: membership(ids.pipeline, index / split.tensor, split.pipeline)?,
            fate: Arc::clone(fate),
        })
    }

    /// Joins the groups of ranks and of stages. Returns when all have.
    pub fn accept(self, device: &Device) -> Result<(Arc<dyn Communicator>, Arc<dyn Communicator>)> {
        let (rank, fate) = (self.rank, self.fate);
        let join = |membership: Option<Membership>| -> Result<Arc<dyn Communicator>> {
            let Some(Membership { id, index, size }) = membership else {
                return Ok(Arc::new(Solo));
            };
            let Device::Cuda(cuda) = device else {
                return Err(Error::Unsupported("NCCL is for ranks on GPUs".to_owned()));
            };
            let comm = Comm::from_rank(cuda.cuda_stream(), index, size, id).map_err(failed)?;
            Ok(Arc::new(Nccl { comm, rank, fate: Arc::clone(&fate) }))
        };
        Ok((join(self.tensor)?, join(self.pipeline)?))
    }
}

fn failed(error: impl std::fmt::Debug) -> Error {
    Error::Tensor(candle_core::Error::Msg(format!("NCCL: {error:?}")))
}

/// The group, as one of its ranks sees it.
struct Nccl {
    comm: Comm,
    rank: usize,
    fate: Arc<Fate>,
}

// SAFETY: NCCL lets any thread use a communicator, one at a time; a rank uses its own from one thread at
// a time.
unsafe impl Send for Nccl {}
// SAFETY: as above.
unsafe impl Sync for Nccl {}

impl Nccl {
    fn call(&self, x: &Tensor, what: What) -> Result<Tensor> {
        self.fate.check()?;
        Ok(x.contiguous()?.apply_op1_no_bwd(&Call { comm: &self.comm, what })?)
    }

    fn zeros(&self, dims: (usize, usize), dtype: DType) -> Result<Tensor> {
        let device = Device::new_cuda(self.comm.ordinal())?;
        Ok(Tensor::zeros(dims, dtype, &device)?)
    }
}

impl Communicator for Nccl {
    fn index(&self) -> usize {
        self.comm.rank()
    }

    fn size(&self) -> usize {
        self.comm.world_size()
    }

    fn all_reduce(&self, x: Tensor) -> Result<Tensor> {
        self.call(&x, What::Sum)
    }

    fn all_gather(&self, x: &Tensor) -> Result<Vec<Tensor>> {
        Ok(self.call(x, What::Gather)?.chunk(self.size(), 0)?)
    }

    fn broadcast(&self, x: &Tensor, root: usize) -> Result<Tensor> {
        self.call(x, What::Broadcast(root as i32))
    }

    fn send(&self, x: &Tensor, to: usize) -> Result<()> {
        self.call(x, What::Send(to as i32)).map(drop)
    }

    fn recv(&self, like: &Tensor, from: usize) -> Result<Tensor> {
        self.call(like, What::Recv(from as i32))
    }

    fn barrier(&self) -> Result<()> {
        self.call(&self.zeros((1, 1), DType::F32)?, What::Sum)?;
        self.settle()
    }

    fn settle(&self) -> Result<()> {
        let event = self.comm.stream().record_event(None).map_err(failed)?;
        let began = Instant::now();
        while !event.is_complete() {
            // A rank that never comes leaves the others' streams waiting; which it is, NCCL does not say.
            self.fate.waiting(self.rank, began, Duration::ZERO)?;
            thread::yield_now();
        }
        Ok(())
    }

    fn time(&self) -> Result<Duration> {
        Err(time_unknown())
    }
}

/// What is done with a tensor.
enum What {
    Sum,
    Gather,
    Broadcast(i32),
    Send(i32),
    Recv(i32),
}

/// A call of NCCL as candle takes it.
struct Call<'a> {
    comm: &'a Comm,
    what: What,
}

impl Call<'_> {
    fn run<T: NcclType + CudaDType + DeviceRepr>(
        &self,
        x: &CudaStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CudaStorage, Shape)> {
        let (device, all) = (x.device().clone(), x.as_cuda_slice::<T>()?);
        let (begin, end) = layout.contiguous_offsets().ok_or_else(|| {
            candle_core::Error::Msg("NCCL was given rows with gaps between them".to_owned())
        })?;
        let source = all.slice(begin..end);
        let mut dims = layout.dims().to_vec();
        match self.what {
            What::Gather => dims[0] *= self.comm.world_size(),
            // Something must come of it.
            What::Send(_) => dims = vec![1],
            What::Sum | What::Broadcast(_) | What::Recv(_) => {}
        }
        let count = dims.iter().product();
        // SAFETY: each call below fills all of it, except for `Send`, whose result nobody reads.
        let mut target = unsafe { device.alloc::<T>(count)? };
        let done = match self.what {
            What::Sum => self.comm.all_reduce(&source, &mut target, &ReduceOp::Sum).map(drop),
            What::Gather => self.comm.all_gather(&source, &mut target).map(drop),
            What::Broadcast(root) => {
                self.comm.broadcast(Some(&source), &mut target, root).map(drop)
            }
            What::Send(to) => self.comm.send(&source, to),
            What::Recv(from) => self.comm.recv(&mut target, from).map(drop),
        };
        done.map_err(|error| candle_core::Error::Msg(format!("NCCL: {error:?}")))?;
        Ok((CudaStorage::wrap_cuda_slice(target, device), Shape::from(dims)))
    }
}

impl CustomOp1 for Call<'_> {
    fn name(&self) -> &'static str {
        "nccl"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        Err(candle_core::Error::Msg("NCCL was given a tensor in the CPU's memory".to_owned()))
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CudaStorage, Shape)> {
        match x.dtype() {
            DType::F32 => self.run::<f32>(x, layout),
            DType::BF16 => self.run::<bf16>(x, layout),
            DType::F16 => self.run::<f16>(x, layout),
            other => Err(candle_core::Error::Msg(format!("NCCL does not sum {other:?}"))),
        }
    }
}
