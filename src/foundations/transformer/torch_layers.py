"""Our layers' weights in PyTorch's own layers, so that the two can be compared."""

from math import isclose

import torch
from torch import nn

from src.foundations.transformer.layers import DecoderLayer, EncoderLayer


@torch.no_grad()
def library_layer(ours: EncoderLayer | DecoderLayer) -> nn.Module:
    """Return PyTorch's layer of the same kind with our layer's weights.

    It has no dropout. PyTorch keeps the query, key and value projections in one matrix
    and gives every projection a bias, which is zero here.

    Args:
        ours: a scaled layer with d_k = width / heads; its weights are copied.

    Raises:
        ValueError: if d_k is not width / heads, or scores are not scaled.
    """
    attention = ours.self_attention
    width = attention.output.out_features
    if not isclose(attention.scale, (width // attention.heads) ** -0.5):
        raise ValueError(
            "PyTorch's layer always divides scores by sqrt(width / heads): this one "
            "has scaled=False or another d_k"
        )
    first = ours.residuals[0]
    kind = nn.TransformerDecoderLayer
    attentions = {"self_attn": ours.self_attention}
    if isinstance(ours, DecoderLayer):
        attentions["multihead_attn"] = ours.cross_attention
    else:
        kind = nn.TransformerEncoderLayer
    hidden, width = ours.feed_forward.inner.weight.shape
    theirs = kind(
        width,
        ours.self_attention.heads,
        hidden,
        dropout=0.0,
        batch_first=True,
        norm_first=first.pre,
    )
    for name, part in attentions.items():
        joint = torch.cat([part.query.weight, part.key.weight, part.value.weight])
        target = getattr(theirs, name)
        target.in_proj_weight.copy_(joint)
        target.in_proj_bias.zero_()
        target.out_proj.weight.copy_(part.output.weight)
        target.out_proj.bias.zero_()
    theirs.linear1.load_state_dict(ours.feed_forward.inner.state_dict())
    theirs.linear2.load_state_dict(ours.feed_forward.outer.state_dict())
    for number, residual in enumerate(ours.residuals, start=1):
        getattr(theirs, f"norm{number}").load_state_dict(residual.norm.state_dict())
    return theirs
