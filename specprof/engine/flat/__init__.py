"""One small functional decoder for the common RoPE architectures, over the weights as loaded."""
