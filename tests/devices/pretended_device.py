"""A pretended accelerator: computes on the CPU, and refuses to mix devices where CUDA does.

Tensors are ordinary ones. Which of them "lie on cuda:0" is remembered by storage, so that views, parameters and
gradients follow. Two layers watch while `pretended_device()` is entered: one sees what Python calls (`.device`, `.to`,
`device=`), one every operation that runs, also within backward passes, and checks where its tensors lie.

The rules are CUDA's: numbers of no dimension may stay on the CPU in elementwise operations; indices may come from the
CPU, but must not come from the device to the CPU; copies cross; generators and NumPy do not.
"""

from contextlib import contextmanager

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

ACCELERATOR = torch.device("cuda", 0)
CPU = torch.device("cpu")
COPIES = {"copy_", "_to_copy"}
STAGED_BYTES = 1 << 16
"""What CUDA takes over at once from memory that is not pinned."""
WAITS = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_dim", "equal", "bincount", "is_nonzero"}
"""Operations for which the CPU waits until the device has done all that was asked of it before."""


@contextmanager
def pretended_device():
    """Enter both layers; gives the `Places` of all tensors."""
    places = Places()
    with _Operations(places), _Calls(places):
        yield places


class Places:
    """Which tensors lie on the accelerator.

    Attributes:
        inside: whether tensors that are made from nothing come to lie there: so it is within calls about tensors there.
        waits: names of operations for which a CPU would have waited.
    """

    def __init__(self):
        # A weak reference keeps the address of a storage that is gone from being given to another one.
        self.storages, self.pinned = {}, {}
        self.inside = False
        self.waits = []

    def hold(self, value):
        return isinstance(value, Tensor) and value.untyped_storage()._cdata in self.storages

    def place(self, tensor, device):
        storage = tensor.untyped_storage()
        if device.type == "cuda":
            self.storages[storage._cdata] = StorageWeakRef(storage)
        else:
            self.storages.pop(storage._cdata, None)

    def pin(self, tensor):
        storage = tensor.untyped_storage()
        self.pinned[storage._cdata] = StorageWeakRef(storage)

    def is_pinned(self, tensor):
        return tensor.untyped_storage()._cdata in self.pinned

    @contextmanager
    def within(self, inside):
        before, self.inside = self.inside, inside
        try:
            yield
        finally:
            self.inside = before


class _Calls(TorchFunctionMode):
    """What Python sees of a tensor's device."""

    def __init__(self, places):
        super().__init__()
        self.places = places
        self.instead = {
            Tensor.device.__get__: lambda tensor: ACCELERATOR if places.hold(tensor) else tensor.device,
            Tensor.is_cuda.__get__: places.hold,
            Tensor.is_cpu.__get__: lambda tensor: not places.hold(tensor),
            Tensor.get_device: lambda tensor: 0 if places.hold(tensor) else -1,
            Tensor.to: self.to,
            Tensor.cpu: lambda tensor: self.to(tensor, CPU),
            Tensor.cuda: lambda tensor, device=ACCELERATOR, **options: self.to(tensor, device, **options),
            Tensor.numpy: self.numpy,
            Tensor.__array__: self.numpy,
            Tensor.pin_memory: self.pin_memory,
            Tensor.is_pinned: places.is_pinned,
        }
        self.indexing = {Tensor.__getitem__, Tensor.__setitem__}

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if function in self.instead:
            return self.instead[function](*args, **kwargs)
        inside = function is not torch.tensor and any(map(self.places.hold, leaves_of((args, kwargs))))
        if kwargs.get("device") is not None:
            device = torch.device(kwargs["device"])
            inside = device.type == "cuda"
            kwargs["device"] = CPU if inside else device
            if inside and function in {torch.tensor, Tensor.new_tensor}:
                self.places.waits.append("tensor")
        elif function is Tensor.new_tensor and inside:
            self.places.waits.append("new_tensor")
        if function is torch.as_tensor:
            moved = function(*args, **(kwargs | {"device": None}))
            return moved if "device" not in kwargs else self.to(moved, ACCELERATOR if inside else kwargs["device"])
        if inside and isinstance(kwargs.get("generator"), torch.Generator):
            raise RuntimeError("Expected a 'cuda' device type for generator but found 'cpu'")
        if function in self.indexing:
            args = (args[0], self.as_index(*args[:2]), *args[2:])
        with self.places.within(inside):
            result = function(*args, **kwargs)
        made = function in {torch.tensor, Tensor.new_tensor, Tensor.__deepcopy__}  # of data, which no operation shows
        if inside and (made or "device" in kwargs):
            self.places.place(result, ACCELERATOR)
        return result

    def as_index(self, tensor, index):
        """An index as a tensor's own device has it: CUDA fetches lists and indices from the CPU by itself."""
        if not self.places.hold(tensor):
            return index

        def fetched(part):
            if isinstance(part, list):
                part = torch.tensor(part, dtype=None if part else torch.int64)
            if not isinstance(part, Tensor) or part.ndim == 0 or self.places.hold(part):
                return part
            self.places.waits.append("index from cpu")
            part = part.clone()
            self.places.place(part, ACCELERATOR)
            return part

        return tuple(map(fetched, index)) if isinstance(index, tuple) else fetched(index)

    def to(self, tensor, *args, **options):
        """`Tensor.to`, with a copy wherever the device changes."""
        devices = []

        def told(value):
            if isinstance(value, Tensor):
                devices.append(ACCELERATOR if self.places.hold(value) else CPU)
                return value
            if isinstance(value, torch.device | str) or (isinstance(value, int) and not isinstance(value, bool)):
                devices.append(torch.device(value))
                return devices[-1] if devices[-1].type == "meta" else CPU
            return value

        args, options = [*map(told, args)], {key: told(value) for key, value in options.items()}
        here = ACCELERATOR if self.places.hold(tensor) else CPU
        target = devices[0] if devices else here
        moved = tensor.to(*args, **options)
        if target.type == here.type:
            return moved
        if moved.untyped_storage()._cdata == tensor.untyped_storage()._cdata:
            moved = moved.clone()
        at_once = options.get("non_blocking") and (self.places.is_pinned(tensor) or tensor.nbytes <= STAGED_BYTES)
        if here.type == "cuda" or not at_once:
            self.places.waits.append(f"to {target.type}")
        self.places.place(moved, target)
        return moved

    def numpy(self, tensor, *args, **options):
        if self.places.hold(tensor):
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first")
        return tensor.numpy() if not args else tensor.numpy().astype(*args, **options)

    def pin_memory(self, tensor):
        if self.places.hold(tensor):
            raise RuntimeError("cannot pin 'torch.cuda.Tensor' only dense CPU tensors can be pinned")
        pinned = tensor.clone()
        self.places.pin(pinned)
        return pinned


class _Operations(TorchDispatchMode):
    """Mode that checks every operation and places its results on the device of its inputs."""

    def __init__(self, places):
        super().__init__()
        self.places = places

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        leaves = list(leaves_of((args, kwargs or {})))
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        here = any(map(self.places.hold, tensors))
        if here:
            self.check(function, args, tensors)
            if any(isinstance(leaf, torch.Generator) for leaf in leaves):
                raise RuntimeError("Expected a 'cuda' device type for generator but found 'cpu'")
            self.note_waits(function.overloadpacket.__name__, args)
        given = {tensor.untyped_storage()._cdata for tensor in tensors}
        result = function(*args, **(kwargs or {}))
        if here or (not tensors and self.places.inside):
            for new in leaves_of(result):
                if isinstance(new, Tensor) and new.untyped_storage()._cdata not in given:
                    self.places.place(new, ACCELERATOR)
        return result

    def check(self, function, args, tensors):
        """Raise the error that CUDA would raise if one of the tensors were on the device."""
        name = function.overloadpacket.__name__
        if name in COPIES:
            return
        if name == "_fused_adam_":
            for same in zip(*args[:4], strict=True):
                if len(set(map(_layout, same))) > 1:
                    raise RuntimeError(
                        "params, grads, exp_avgs, and exp_avg_sqs must have same dtype, device, and layout"
                    )
        if name in {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}:
            given = [index for index in args[1] if index is not None]
            if not self.places.hold(args[0]) and any(map(self.places.hold, given)):
                raise RuntimeError("indices should be either on cpu or on the same device as the indexed tensor (cpu)")
            tensors = [args[0], *(value for value in args[2:3] if isinstance(value, Tensor) and value.ndim)]
        elif torch.Tag.pointwise in function.tags or name in {"masked_fill", "masked_fill_", "fill_", "lerp_"}:
            tensors = [tensor for tensor in tensors if tensor.ndim or self.places.hold(tensor)]
            # What changes in place, or what has dimensions, stays where it is.
            tensors += [value for value in args[:1] if name.endswith("_") and isinstance(value, Tensor)]
        if len({self.places.hold(tensor) for tensor in tensors}) > 1:
            two = "but found at least two devices, cuda:0 and cpu!"
            raise RuntimeError(f"Expected all tensors to be on the same device, {two} ({name})")

    def note_waits(self, name, args):
        masks = name.startswith("index") and len(args) > 1 and isinstance(args[1], list | tuple)
        indices = [index for index in args[1] if index is not None] if masks else []
        if name in WAITS or any(index.dtype == torch.bool for index in indices):
            self.places.waits.append(name)
        elif name == "copy_" and self.places.hold(args[0]) != self.places.hold(args[1]):
            self.places.waits.append("copy_")


def leaves_of(value):
    """What tuples, lists and dictionaries hold."""
    if isinstance(value, tuple | list):
        for part in value:
            yield from leaves_of(part)
    elif isinstance(value, dict):
        yield from leaves_of(list(value.values()))
    else:
        yield value


def _layout(tensor):
    return tensor.dtype, tuple(step for step, size in zip(tensor.stride(), tensor.shape, strict=True) if size > 1)
