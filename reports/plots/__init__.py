"""What is drawn: a DataFrame in, a picture out. `album` names every kind."""
