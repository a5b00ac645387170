"""Fine-tuning: tokens and features of clips, batches, steps, checkpoints."""
