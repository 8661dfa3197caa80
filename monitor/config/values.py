"""The types of the configuration's values, for pydantic and JSON Schema, and the base of all its parts."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainValidator,
    SecretStr,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema

from monitor.config import addresses, expressions, files, rules
from monitor.config.apprise import check_apprise_url
from monitor.config.steps import bodies, templates


class Strict(BaseModel):
    """Values are not converted, unknown keys are refused, nothing can be changed, errors show no value."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        defer_build=True,  # each is built where it is needed, once
    )


class OneOrMany:
    """Marks a tuple for which one value may stand alone."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(
            lambda value: value if isinstance(value, (list, tuple)) else (value,), handler(source)
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        many = handler(schema)
        return {"anyOf": [many["items"], many]}


def _about_secret(check: Callable[[str], str]) -> AfterValidator:
    return AfterValidator(lambda secret: SecretStr(check(secret.get_secret_value())))


_FROM_ENVIRONMENT = r"\$\{"
_FILE_SCHEMA = {
    "type": "object",
    "properties": {"file": {"type": "string", "description": "Read from this file."}},
    "required": ["file"],
    "additionalProperties": False,
}
_SECRET_SCHEMA = {"anyOf": [{"type": "string"}, _FILE_SCHEMA]}
_KEY_SCHEMA = {"anyOf": [{"type": "string", "minLength": 1}, _FILE_SCHEMA]}
_ANY_JSON: dict[str, Any] = {}
_URL_SCHEMA = {"type": "string", "pattern": rf"^[Hh][Tt][Tt][Pp][Ss]?://.|{_FROM_ENVIRONMENT}"}

NotEmpty = AfterValidator(rules.check_not_empty)
AFewSteps = AfterValidator(rules.check_number_of_steps)
Many = Field(strict=False)  # a JSON list becomes a tuple
Duration = Annotated[float, Field(ge=0.001, le=31_536_000)]
Days = Annotated[float, Field(gt=0, le=36_500)]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Size = Annotated[int, Field(ge=0, le=2**31 - 1)]
Name = Annotated[str, AfterValidator(rules.check_name), WithJsonSchema({"type": "string", "minLength": 1})]
Host = Annotated[str, AfterValidator(addresses.check_host)]
Topic = Annotated[str, AfterValidator(rules.check_topic)]
Bootstrap = Annotated[str, AfterValidator(addresses.check_bootstrap)]
Method = Annotated[str, AfterValidator(rules.check_method)]
HeaderName = Annotated[str, AfterValidator(rules.check_header_name)]
Scope = Annotated[str, AfterValidator(rules.check_scope)]
Username = Annotated[str, AfterValidator(rules.check_username)]
Regex = Annotated[str, PlainValidator(expressions.check_regex), WithJsonSchema({"type": "string"})]
Regexes = Annotated[tuple[Regex, ...], Many, OneOrMany(), NotEmpty]
Fingerprint = Annotated[
    str,
    PlainValidator(rules.check_fingerprint),
    WithJsonSchema({"type": "string", "pattern": f"^(?:{rules.FINGERPRINT})$|{_FROM_ENVIRONMENT}"}),
]
CapturingRegex = Annotated[
    str, PlainValidator(expressions.check_capturing_regex), WithJsonSchema({"type": "string"})
]
JmesPath = Annotated[str, PlainValidator(expressions.check_jmespath), WithJsonSchema({"type": "string"})]
Url = Annotated[str, PlainValidator(addresses.check_url), WithJsonSchema(_URL_SCHEMA)]
RdapServer = Annotated[str, PlainValidator(addresses.check_rdap_server), WithJsonSchema(_URL_SCHEMA)]
StepUrl = Annotated[str, PlainValidator(templates.check_step_url), WithJsonSchema(_URL_SCHEMA)]
ValueName = Annotated[str, AfterValidator(templates.check_value_name)]
Link = Annotated[str, PlainValidator(addresses.check_link), WithJsonSchema(_URL_SCHEMA)]
ConnectivityTarget = Annotated[
    str, PlainValidator(addresses.check_connectivity_target), WithJsonSchema({"type": "string"})
]
DnsServer = Annotated[str, PlainValidator(addresses.check_dns_server), WithJsonSchema({"type": "string"})]
DeniedAddresses = Annotated[str, PlainValidator(addresses.check_denied), WithJsonSchema({"type": "string"})]
WithoutProxy = Annotated[
    str, PlainValidator(addresses.check_without_proxy), WithJsonSchema({"type": "string"})
]
Target = Annotated[str, PlainValidator(addresses.check_target), WithJsonSchema({"type": "string"})]
Network = Annotated[str, PlainValidator(addresses.check_network), WithJsonSchema({"type": "string"})]
StatusPattern = Annotated[
    str | int,
    PlainValidator(rules.check_status),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 100, "maximum": 599},
                {
                    "type": "string",
                    "pattern": rf"^[1-5]([xX]{{2}}|[0-9]{{2}}(-[1-5][0-9]{{2}})?)$|{_FROM_ENVIRONMENT}",
                },
            ]
        }
    ),
]
IsoInstant = Annotated[
    datetime,
    PlainValidator(rules.check_instant),
    WithJsonSchema({"type": "string", "pattern": rf"^[0-9]{{4}}-|{_FROM_ENVIRONMENT}"}),
]
TimeOfDay = Annotated[str, AfterValidator(rules.check_time_of_day)]
TimeZone = Annotated[str, AfterValidator(rules.check_time_zone)]
Cron = Annotated[str, AfterValidator(rules.check_cron)]
FilePattern = Annotated[str, AfterValidator(rules.check_path)]
FilePath = Annotated[Path, PlainValidator(rules.absolute_path), WithJsonSchema({"type": "string"})]
ExistingFile = Annotated[FilePath, AfterValidator(rules.check_pem_file)]
AuthoritiesFile = Annotated[FilePath, AfterValidator(files.check_authorities)]
Secret = Annotated[SecretStr, BeforeValidator(rules.read_secret), WithJsonSchema(_SECRET_SCHEMA)]
SecretJson = Annotated[SecretStr, PlainValidator(bodies.read_json), WithJsonSchema(_ANY_JSON)]
Key = Annotated[Secret, _about_secret(rules.check_key), WithJsonSchema(_KEY_SCHEMA)]
HeaderValue = Annotated[Secret, _about_secret(rules.check_header_value)]
Token = Annotated[Key, _about_secret(rules.check_header_value)]
Proxy = Annotated[
    SecretStr | Literal["environment"],
    PlainValidator(addresses.read_proxy),
    WithJsonSchema(_SECRET_SCHEMA),
]
WebAddress = Annotated[Secret, _about_secret(addresses.check_url)]
AppriseUrl = Annotated[Secret, _about_secret(check_apprise_url)]
DatabaseUri = Annotated[
    Secret, _about_secret(addresses.check_database), _about_secret(files.check_database_files)
]
