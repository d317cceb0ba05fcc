"""What is known of the keys in other projects' configurations: which are read, which change no feature, and why."""

from __future__ import annotations

from glotclip.models.known_keys import KnownKeys, harmless, names

# What transformers writes into any config.json, older versions at length.
_COMMON = {
    **harmless("acts in training only", "attention_dropout hidden_dropout_prob attention_probs_dropout_prob dropout "
               "classifier_dropout gradient_checkpointing problem_type initializer_range initializer_factor"),
    **harmless("says how weights are stored, not what they are", "torch_dtype dtype tie_word_embeddings torchscript "
               "use_bfloat16 tie_encoder_decoder tf_legacy_loss _attn_implementation attn_implementation "
               "_attn_implementation_autoset _experts_implementation"),
    **harmless("names or versions", "architectures transformers_version _name_or_path name_or_path _commit_hash "
               "auto_map finetuning_task task_specific_params tokenizer_class prefix license is_composition "
               "base_model_name_or_path"),
    **harmless("classes of a classifier, which this is not", "id2label label2id num_labels _num_labels "
               "return_dict use_return_dict output_attentions output_hidden_states use_cache"),
    **harmless("generation of text, which this does not do", "bad_words_ids begin_suppress_tokens suppress_tokens "
               "decoder_start_token_id diversity_penalty do_sample early_stopping encoder_no_repeat_ngram_size "
               "exponential_decay_length_penalty forced_bos_token_id forced_eos_token_id length_penalty max_length "
               "min_length no_repeat_ngram_size num_beam_groups num_beams num_return_sequences output_scores "
               "remove_invalid_values repetition_penalty return_dict_in_generate temperature top_k top_p typical_p "
               "cross_attention_hidden_size is_encoder_decoder"),
    **harmless("splits the same computation", "chunk_size_feed_forward"),
    **harmless("ids of special tokens: the tokenizer's own files are read for them", "pad_token_id bos_token_id "
               "sep_token_id"),
}  # fmt: skip
_COMMON_FIXED = {"add_cross_attention": (False,), "is_decoder": (False,), "pruned_heads": ({},)}
_TOWER = names(
    "hidden_size intermediate_size num_hidden_layers num_attention_heads hidden_act layer_norm_eps model_type"
)
_TEXT = _TOWER.union(("vocab_size", "max_position_embeddings"))
_VISION = _TOWER.union(("image_size", "patch_size"))
_EOS = harmless("the text is read at its last place", "eos_token_id")
_SIZE_ELSEWHERE = harmless("CLIPModel reads projection_dim of the whole model", "projection_dim")

HF_MODEL = {
    "clip": KnownKeys(
        frozenset({"model_type", "text_config", "vision_config", "text_config_dict", "vision_config_dict"})
        | {"projection_dim"},
        {**_COMMON, **_EOS, **harmless("a start value; the weight is read", "logit_scale_init_value")},
        _COMMON_FIXED,
    ),
    "siglip": KnownKeys(
        frozenset({"model_type", "text_config", "vision_config"}),
        {**_COMMON, **_EOS, **harmless("start values; the weights are read", "logit_scale_init_value"),
         **harmless("SigLIP has no projection of this size", "projection_dim")},
        _COMMON_FIXED,
    ),
}  # fmt: skip
HF_TEXT = {
    "clip": KnownKeys(_TEXT.union(("eos_token_id",)), {**_COMMON, **_SIZE_ELSEWHERE}, _COMMON_FIXED),
    "siglip": KnownKeys(_TEXT.union(("projection_size",)), {**_COMMON, **_EOS}, _COMMON_FIXED),
}
_CHANNELS = {**_COMMON_FIXED, "num_channels": (3,)}
HF_VISION = {
    "clip": KnownKeys(_VISION, {**_COMMON, **_EOS, **_SIZE_ELSEWHERE}, _CHANNELS),
    "siglip": KnownKeys(_VISION, {**_COMMON, **_EOS}, {**_CHANNELS, "vision_use_head": (True,)}),
}
HF_MODEL["siglip2"], HF_TEXT["siglip2"] = HF_MODEL["siglip"], HF_TEXT["siglip"]
HF_VISION["siglip2"] = KnownKeys(
    _TOWER.union(("patch_size", "num_patches")), HF_VISION["siglip"].harmless, HF_VISION["siglip"].fixed
)

MULTILINGUAL = KnownKeys(
    _TEXT.union(("modelBase", "numDims", "transformerDimensions", "pad_token_id")),
    {**{key: reason for key, reason in _COMMON.items() if key != "pad_token_id"}, **_EOS,
     **harmless("all tokens are of one type", "type_vocab_size")},
    {**_COMMON_FIXED, "position_embedding_type": ("absolute",)},
)  # fmt: skip

# open_clip: the dataclasses CLIPTextCfg and CLIPVisionCfg of its model.py. Of what is fixed, the first value is its
# default; another one builds a tower that computes something else.
OPEN_CLIP = KnownKeys(
    frozenset({"model_cfg", "preprocess_cfg"}),
    harmless("names or versions", "name version license tags architecture library_name open_clip_version"),
)
OPEN_CLIP_MODEL = KnownKeys(
    frozenset({"embed_dim", "vision_cfg", "text_cfg", "quick_gelu"}),
    {
        **harmless("moves tensors under text., where they are found", "custom_text"),
        **harmless("start values; the weights are read", "init_logit_scale init_logit_bias"),
        **harmless("the shape of the scale, which is read as it is", "nonscalar_logit_scale"),
        **harmless("what training computes in, or how results are handed over", "cast_dtype output_dict"),
    },
)
_OPEN_CLIP_FIXED = {
    "ls_init_value": (), "qk_norm": (False,), "scaled_cosine_attn": (False,), "scale_heads": (False,),
    "scale_attn_inner": (False,), "scale_attn": (False,), "scale_fc": (False,), "block_type": ("default",),
}  # fmt: skip
_OPEN_CLIP_HARMLESS = {
    **harmless("hands tokens over beside the feature", "output_tokens"),
    **harmless(
        "the norm acts on each token by itself, so one token may be taken before or after", "final_ln_after_pool"
    ),
}
OPEN_CLIP_TEXT = KnownKeys(
    names("width layers heads mlp_ratio vocab_size context_length proj_bias act_kwargs norm_kwargs"),
    {
        **_OPEN_CLIP_HARMLESS,
        **harmless("read with a class token, or in pooling by it, only", "pad_id eos_id correct_cls_mask"),
        **harmless("read with a tower of transformers only", "hf_model_pretrained hf_proj_type hf_pooler_type"),
    },
    {
        **_OPEN_CLIP_FIXED, "hf_model_name": (), "hf_tokenizer_name": (), "hf_model_config": (),
        "embed_cls": (False,), "no_causal_mask": (False,), "pool_type": ("argmax",), "proj_type": ("linear",),
        "attentional_pool": (False,), "custom_text": (False,), "tokenizer_kwargs": ({},),
    },
)  # fmt: skip
OPEN_CLIP_VISION = KnownKeys(
    names("width layers head_width mlp_ratio image_size patch_size act_kwargs norm_kwargs"),
    {
        **_OPEN_CLIP_HARMLESS,
        **harmless("acts in training only", "patch_dropout timm_drop timm_drop_path"),
        **harmless("read with attentional pooling only", "attn_pooler_queries attn_pooler_heads"),
        **harmless("read with a tower of timm only", "timm_model_pretrained timm_pool timm_proj timm_proj_bias"),
    },
    {
        **_OPEN_CLIP_FIXED, "timm_model_name": (), "attentional_pool": (False, ""), "no_ln_pre": (False,),
        "pos_embed_type": ("learnable",), "pool_type": ("tok",), "global_average_pool": (False,),
        "input_patchnorm": (False,),
    },
)  # fmt: skip

OWN = KnownKeys(
    frozenset({"format", "name", "fingerprint", "text", "vision", "preprocess"})
    | {"logit_scale", "logit_bias", "recommended", "languages", "text_form"}
)
