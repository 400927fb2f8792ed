"""What a run found, told to people: GitHub issues and a webhook. See reports/alerts/README.md."""
