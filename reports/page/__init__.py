"""What a run says, on one page: HTML that a person opens from disk, or Markdown for a pull request."""
