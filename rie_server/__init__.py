"""RIE Server: AWS Lambda's execution model, whole, on your own machine or cluster."""

__version__ = "0.1.0"
