"""The ops that rightly count 0 FLOPs: an allow list, read by people and by the arithmetic ledger.

The convention counts matrix products (2mnk), so everything here is free *by convention*: pointwise
arithmetic, reductions, normalisations, copies, lookups. An op that is neither on this list nor in
the formulas is unknown and empties the FLOP columns, because a counter that takes an unknown op for
a free one reports too little without a word. Hence nothing that multiplies matrices may stand here
(nor what is built on such products: factorisations, pairwise distances, FFTs).

Names are those of op packets in the namespace `aten` unless they carry another one. A listed name
stands for its in-place twin (`add_`) and for the version over lists of tensors (`_foreach_add_`)
too. A name that this version of torch lacks does no harm.
"""

_POINTWISE = """
_add_relu _conj_physical conj_physical abs acos acosh add addcdiv addcmul angle asin asinh atan
atan2 atanh bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor
ceil clamp clamp_max clamp_min complex copysign cos cosh deg2rad digamma div erf erfc erfinv exp
exp2 expm1 floor floor_divide fmax fmin fmod frac frexp gcd heaviside hypot i0 igamma igammac lcm
ldexp lerp lgamma linalg_cross log log10 log1p log2 logaddexp logaddexp2 logical_and logical_not
logical_or logical_xor logit logit_backward max maximum min minimum mul mvlgamma nan_to_num neg
nextafter polar polygamma pow rad2deg reciprocal relu remainder round rsqrt rsub sgn sigmoid
sigmoid_backward sign signbit sin sinc sinh special_entr special_erfcx special_i0e special_i1
special_i1e special_log_ndtr special_ndtri special_xlog1py special_zeta sqrt sub tan tanh
tanh_backward trunc where xlogy __lshift__ __rshift__ __ilshift__ __irshift__
"""

_COMPARISONS = """
all allclose any eq equal ge gt isin isinf isnan isneginf isposinf le lt ne _is_all_true
_is_any_true
"""

_ACTIVATIONS = """
_prelu_kernel _prelu_kernel_backward celu elu elu_backward gelu gelu_backward glu glu_backward
glu_backward_jvp glu_jvp hardshrink hardshrink_backward hardsigmoid hardsigmoid_backward hardswish
hardswish_backward hardtanh hardtanh_backward leaky_relu leaky_relu_backward log_sigmoid_backward
log_sigmoid_forward mish mish_backward rrelu_with_noise rrelu_with_noise_backward
rrelu_with_noise_functional silu silu_backward softplus softplus_backward softshrink
softshrink_backward threshold threshold_backward
"""

_SOFTMAX_AND_LOSSES = """
_ctc_loss _ctc_loss_backward _cudnn_ctc_loss _log_softmax _log_softmax_backward_data _masked_softmax
_masked_softmax_backward _safe_softmax _softmax _softmax_backward_data _sparse_log_softmax
_sparse_log_softmax_backward_data _sparse_softmax _sparse_softmax_backward_data _use_cudnn_ctc_loss
binary_cross_entropy binary_cross_entropy_backward binary_cross_entropy_with_logits huber_loss
huber_loss_backward logsumexp mse_loss mse_loss_backward multi_margin_loss
multi_margin_loss_backward multilabel_margin_loss_backward multilabel_margin_loss_forward
nll_loss2d_backward nll_loss2d_forward nll_loss_backward nll_loss_forward smooth_l1_loss
smooth_l1_loss_backward soft_margin_loss soft_margin_loss_backward
"""

_NORMALISATIONS = """
_batch_norm_no_update _batch_norm_with_update _batch_norm_with_update_functional _fused_rms_norm
_fused_rms_norm_backward _native_batch_norm_legit _native_batch_norm_legit_functional
_native_batch_norm_legit_no_training _weight_norm_interface _weight_norm_interface_backward
batch_norm_backward batch_norm_backward_elemt batch_norm_backward_reduce batch_norm_elemt
batch_norm_gather_stats batch_norm_gather_stats_with_counts batch_norm_stats batch_norm_update_stats
cudnn_batch_norm cudnn_batch_norm_backward native_batch_norm native_batch_norm_backward
native_group_norm native_group_norm_backward native_layer_norm native_layer_norm_backward renorm
"""

_REDUCTIONS_SCANS_SORTS = """
_aminmax _cummax_helper _cummin_helper _logcumsumexp _segment_reduce_backward _sparse_sum
_sparse_sum_backward _unique _unique2 amax amin aminmax argmax argmin bincount bucketize
count_nonzero cummax cummin cumprod cumsum dist hash_tensor histc histogram kthvalue linalg__powsum
linalg_vector_norm logcumsumexp mean median mode nanmedian nansum native_norm norm _foreach_powsum
prod searchsorted segment_reduce sort std std_mean sum topk trace unique_consecutive unique_dim
unique_dim_consecutive var var_mean
"""

_POOLING_AND_RESAMPLING = """
_adaptive_avg_pool2d _adaptive_avg_pool2d_backward _adaptive_avg_pool3d
_adaptive_avg_pool3d_backward _upsample_bicubic2d_aa _upsample_bicubic2d_aa_backward
_upsample_bilinear2d_aa _upsample_bilinear2d_aa_backward _upsample_lanczos2d_aa
_upsample_lanczos2d_aa_backward _upsample_nearest_exact1d _upsample_nearest_exact1d_backward
_upsample_nearest_exact2d _upsample_nearest_exact2d_backward _upsample_nearest_exact3d
_upsample_nearest_exact3d_backward adaptive_max_pool2d adaptive_max_pool2d_backward
adaptive_max_pool3d adaptive_max_pool3d_backward avg_pool2d avg_pool2d_backward avg_pool3d
avg_pool3d_backward cudnn_grid_sampler cudnn_grid_sampler_backward fractional_max_pool2d
fractional_max_pool2d_backward fractional_max_pool3d fractional_max_pool3d_backward grid_sampler_2d
grid_sampler_2d_backward grid_sampler_3d grid_sampler_3d_backward max_pool2d_with_indices
max_pool2d_with_indices_backward max_pool3d_with_indices max_pool3d_with_indices_backward
max_unpool2d max_unpool3d upsample_bicubic2d upsample_bicubic2d_backward upsample_bilinear2d
upsample_bilinear2d_backward upsample_linear1d upsample_linear1d_backward upsample_nearest1d
upsample_nearest1d_backward upsample_nearest2d upsample_nearest2d_backward upsample_nearest3d
upsample_nearest3d_backward upsample_trilinear3d upsample_trilinear3d_backward
"""

_INDEXING = """
_embedding_bag _embedding_bag_backward _embedding_bag_dense_backward _embedding_bag_forward_only
_embedding_bag_per_sample_weights_backward _index_put_impl _unsafe_index _unsafe_index_put
_unsafe_masked_index _unsafe_masked_index_put_accumulate embedding embedding_dense_backward
embedding_renorm gather index index_add index_copy index_fill index_put index_reduce index_select
masked_fill masked_scatter masked_scatter_backward masked_select nonzero nonzero_static put scatter
scatter_add scatter_reduce take
"""

_COPIES_AND_LAYOUT = """
_chunk_cat _coalesce _coalesced _conj_copy alias_copy _copy_from _copy_from_and_resize
_jagged_to_padded_dense_forward _lazy_clone _mkldnn_reshape _mkldnn_transpose _neg_view_copy _nnz
_pack_padded_sequence _padded_dense_to_jagged_forward _pin_memory _reshape_alias_copy _reshape_copy
_resize_output _stack _to_copy _to_dense _to_sparse _unsafe_view as_strided_copy as_strided_scatter
block_diag cat channel_shuffle clone col2im constant_pad_nd copy copy_sparse_to_sparse detach_copy
diag_embed diagonal_backward diagonal_copy diagonal_scatter expand_copy flip im2col lift lift_fresh
lift_fresh_copy mkldnn_reorder_conv2d_weight mkldnn_reorder_conv3d_weight narrow_copy permute_copy
pixel_shuffle pixel_unshuffle reflection_pad1d reflection_pad1d_backward reflection_pad2d
reflection_pad2d_backward reflection_pad3d reflection_pad3d_backward repeat repeat_interleave
replication_pad1d replication_pad1d_backward replication_pad2d replication_pad2d_backward
replication_pad3d replication_pad3d_backward resize resize_as resize_as_sparse roll rot90
select_backward select_copy select_scatter set slice_backward slice_copy slice_scatter sparse_mask
sparse_resize sparse_resize_and_clear split_copy split_with_sizes_copy squeeze_copy stack t_copy
to_mkldnn transpose_copy tril triu unbind_copy unfold_backward unfold_copy unsafe_split
unsafe_split_with_sizes unsqueeze_copy view_as_complex_copy view_as_real_copy view_copy
fsdp::all_gather_copy_in fsdp::chunk_cat fsdp::copy_ fsdp::split_with_sizes_copy
"""

_FACTORIES = """
_efficientzerotensor _sparse_coo_tensor_with_dims _sparse_coo_tensor_with_dims_and_tensors arange
bartlett_window blackman_window empty empty_like empty_permuted empty_strided eye fill full
full_like hamming_window hann_window kaiser_window linspace logspace new_empty new_empty_strided
new_full new_ones new_zeros ones ones_like range scalar_tensor tril_indices triu_indices zero zeros
zeros_like
"""

_RANDOM = """
_cudnn_init_dropout_state _fill_mem_eff_dropout_mask_ _fused_dropout _masked_scale
_philox_key_fold_in _philox_key_split _philox_normal _philox_uniform _standard_gamma
_standard_gamma_grad bernoulli binomial cauchy exponential geometric log_normal multinomial
native_dropout native_dropout_backward normal normal_functional poisson rand rand_like randint
randint_like randn randn_like random randperm uniform
"""

# The products of a recurrent cell are addmm and mm; these are the gates after them.
_RECURRENT_GATES = """
_cudnn_rnn_flatten_weight _thnn_fused_gru_cell _thnn_fused_gru_cell_backward _thnn_fused_lstm_cell
_thnn_fused_lstm_cell_backward_impl
"""

_OPTIMIZERS_AND_AMP = """
_amp_foreach_non_finite_check_and_unscale _amp_update_scale _fused_adagrad _fused_adam _fused_adamw
_fused_sgd
"""

_FAKE_QUANTISATION = """
_fake_quantize_learnable_per_channel_affine _fake_quantize_learnable_per_channel_affine_backward
_fake_quantize_learnable_per_tensor_affine _fake_quantize_learnable_per_tensor_affine_backward
_fake_quantize_per_tensor_affine_cachemask_tensor_qparams _fused_moving_avg_obs_fq_helper
_fused_moving_avg_obs_fq_helper_functional dequantize fake_quantize_per_channel_affine_cachemask
fake_quantize_per_tensor_affine_cachemask quantize_per_channel quantize_per_tensor
quantize_per_tensor_dynamic
"""

_COMMUNICATION = """
c10d::_allgather_base_ c10d::_reduce_scatter_base_ c10d::allgather_ c10d::allgather_coalesced_
c10d::allgather_into_tensor_coalesced_ c10d::allreduce_ c10d::allreduce_coalesced_ c10d::alltoall_
c10d::alltoall_base_ c10d::barrier c10d::broadcast_ c10d::gather_ c10d::monitored_barrier_
c10d::recv_ c10d::recv_any_source_ c10d::reduce_ c10d::reduce_scatter_
c10d::reduce_scatter_tensor_coalesced_ c10d::scatter_ c10d::send
_c10d_functional::all_gather_into_tensor _c10d_functional::all_gather_into_tensor_coalesced
_c10d_functional::all_gather_into_tensor_out _c10d_functional::all_reduce
_c10d_functional::all_reduce_coalesced _c10d_functional::all_to_all_single
_c10d_functional::broadcast _c10d_functional::reduce_scatter_tensor
_c10d_functional::_wrap_tensor_autograd _c10d_functional::reduce_scatter_tensor_coalesced
_c10d_functional::wait_tensor
"""

# They ask about a tensor or check it; `_local_scalar_dense` is `Tensor.item`.
_QUERIES_AND_CHECKS = """
_assert_async _assert_scalar _assert_tensor_metadata _dimI _dimV _functional_assert_async
_functional_assert_scalar _fused_sdp_choice _has_same_storage_numel _local_scalar_dense _print
dense_dim is_coalesced is_pinned is_same_size is_set_to record_stream sparse_dim sym_constrain_range
sym_constrain_range_for_size profiler::_record_function_enter_new profiler::_record_function_exit
"""

ZERO_FLOP_OPS: frozenset[str] = frozenset(
    "\n".join(
        (
            _POINTWISE,
            _COMPARISONS,
            _ACTIVATIONS,
            _SOFTMAX_AND_LOSSES,
            _NORMALISATIONS,
            _REDUCTIONS_SCANS_SORTS,
            _POOLING_AND_RESAMPLING,
            _INDEXING,
            _COPIES_AND_LAYOUT,
            _FACTORIES,
            _RANDOM,
            _RECURRENT_GATES,
            _OPTIMIZERS_AND_AMP,
            _FAKE_QUANTISATION,
            _COMMUNICATION,
            _QUERIES_AND_CHECKS,
        )
    ).split()
)
"""Every listed name, `aten` left out."""


def counts_zero(name: str) -> bool:
    """Whether the op `name` (`add_`, `c10d::allreduce_`) is on the list.

    The in-place twin and the version over lists of tensors of a listed op are on it too.
    """
    base = name.removesuffix("_")
    return not ZERO_FLOP_OPS.isdisjoint((name, base, base.removeprefix("_foreach_")))
