"""Settings files of other trainers (mlx-lm-lora, MLX-LoRA-Studio, mlx-lm, TRL)."""
