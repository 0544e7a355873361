"""The operations on customers, for the OpenAPI document."""

from models.api_key import Scope
from web import customer_schemas, problem_types, schemas
from web.operation import ACCEPTED, FINISHED, Operation, Reply

CUSTOMERS = (
    Operation(
        "get",
        "/v1/customers/{customer_id}",
        "get_customer",
        "Customers",
        "Read everything the datasets hold of a customer",
        {200: Reply("What is known", customer_schemas.CustomerObject)},
        scopes=(Scope.DATASETS_READ,),
        query=customer_schemas.CustomerQuery,
        problems=(problem_types.NOT_FOUND, problem_types.NOT_READY),
    ),
    Operation(
        "delete",
        "/v1/customers/{customer_id}",
        "erase_customer",
        "Customers",
        "Erase a customer for good: from all datasets and their old versions, stored results and the records of jobs",
        {
            200: Reply("It finished within the time waited for", schemas.ErasureJob, headers=FINISHED),
            202: Reply("Accepted and kept", schemas.ErasureJob, headers=ACCEPTED),
        },
        scopes=(Scope.ADMIN,),
        query=schemas.ErasureQuery,
        prefer=True,
        keyed=True,
        problems=(problem_types.NOT_FOUND,),
    ),
)
