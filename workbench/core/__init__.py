"""Values every other part shares: errors, activities, messages, profile, paths. Imports nothing of ours."""
