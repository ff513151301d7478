"""From words to prompts to aligned embeddings."""
