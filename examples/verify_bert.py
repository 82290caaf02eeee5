"""A BERT text classifier, in PyTorch and in JAX: `examples/verify_bert.py`.

Downloads BERT-base fine-tuned on SST-2 where a network allows, else takes random
weights, and says which. The input is 15 random tokens. Writes bert_jax.py and
bert_jax.safetensors.
"""

import sys

import torch

import predict
from predict import zoo

CHECKPOINT = "textattack/bert-base-uncased-SST-2"
TOKENS = 15


def pretrained():
    zoo.torchvision_cpu.repair()
    from transformers import BertForSequenceClassification

    return BertForSequenceClassification.from_pretrained(CHECKPOINT)


def untrained(small):
    if small:
        return zoo.build_text_classifier()
    zoo.torchvision_cpu.repair()
    from transformers import BertConfig, BertForSequenceClassification

    return BertForSequenceClassification(BertConfig())


def inputs(module, small):
    """Token ids and a mask that hides the last three."""
    generator = torch.Generator().manual_seed(1)
    vocabulary = module.config.vocab_size
    tokens = torch.randint(vocabulary, (1, TOKENS), generator=generator)
    mask = (torch.arange(TOKENS) < TOKENS - 3).long()[None]
    return tokens, mask


BERT = predict.Classifier("bert", pretrained, untrained, inputs)

if __name__ == "__main__":
    sys.exit(predict.main(BERT))
