"""What is right and wrong with this machine: `facts` asks it, `checks` judges the answers without asking anything."""
