"""Has the bucket encrypt every object, whether the client asks for it or not.

A Job runs it in recovery's image, which has an S3 client. It fails, and is tried again, until the setup Job
has made the bucket. Needs STORAGE_ENDPOINT, BUCKET_NAME and the setup user's keys; AWS_CA_BUNDLE where storage has a
certificate of an authority of your own.
"""

import os

from botocore.session import Session

client = Session().create_client(
    "s3",
    endpoint_url=os.environ["STORAGE_ENDPOINT"],
    region_name=os.environ.get("AWS_REGION", "us-east-1"),
    aws_access_key_id=os.environ["STORAGE_ACCESS_KEY"],
    aws_secret_access_key=os.environ["STORAGE_SECRET_KEY"],
)
rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
client.put_bucket_encryption(Bucket=os.environ["BUCKET_NAME"], ServerSideEncryptionConfiguration={"Rules": [rule]})
