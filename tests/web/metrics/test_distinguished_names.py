"""How Go writes a certificate's names; what is expected is what Go 1.26 printed for the same DER."""

import pytest

from monitor.web.metrics.distinguished_names import as_go_writes


@pytest.mark.parametrize(
    ("name", "go"),
    [
        ("CN=shop.example,O=Shop,L=Berlin,C=DE", "CN=shop.example,O=Shop,L=Berlin,C=DE"),
        (
            "C=DE,ST=Berlin,L=Mitte,2.5.4.17=10115,STREET=Way 1,O=Shop,OU=IT,CN=a,2.5.4.5=HRB 1",
            "SERIALNUMBER=HRB 1,CN=a,OU=IT,O=Shop,POSTALCODE=10115,STREET=Way 1,L=Mitte,ST=Berlin,C=DE",
        ),
        ("OU=second,CN=a,OU=first", "CN=a,OU=first+OU=second"),
        ("L=a+ST=b,CN=c", "CN=c,L=a,ST=b"),
        ("CN=last,CN=first", "CN=last"),
        (
            r"CN=a\, b\+c\;\<d\>\"e\"\\=f,O=\#g,OU=\ h i\ ",
            r"CN=a\, b\+c\;\<d\>\"e\"\\=f,OU=\ h i\ ,O=\#g",
        ),
        (
            "CN=a,1.3.6.1.4.1.311.60.2.1.3=DE,2.5.4.15=Private Organization",
            "CN=a,1.3.6.1.4.1.311.60.2.1.3=#13024445,2.5.4.15=#131450726976617465204f7267616e697a6174696f6e",
        ),
        (
            "DC=shop,UID=m\u00fcnchen,CN=a",
            "CN=a,0.9.2342.19200300.100.1.25=#130473686f70,0.9.2342.19200300.100.1.1=#0c086dc3bc6e6368656e",
        ),
        (r"1.2.3.4=a\,b\+", "1.2.3.4=#1304612c622b"),
        ("1.2.3.4=a*b", "1.2.3.4=#0c03612a62"),
        (f"1.2.3.4={'x' * 127}", f"1.2.3.4=#137f{'78' * 127}"),
        (f"1.2.3.4={'x' * 128}", f"1.2.3.4=#138180{'78' * 128}"),
        (f"1.2.3.4={'x' * 300}", f"1.2.3.4=#1382012c{'78' * 300}"),
        ("", ""),
    ],
)
def test_a_name_is_written_as_go_writes_it(name: str, go: str) -> None:
    assert as_go_writes(name) == go


@pytest.mark.parametrize("text", ["shop", "CN=cut off\\", "CN=shop,cut"])
def test_what_is_no_name_stays_as_it_is(text: str) -> None:
    assert as_go_writes(text) == text
