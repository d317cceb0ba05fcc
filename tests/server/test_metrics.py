from __future__ import annotations

from fastapi.testclient import TestClient


def test_requests_are_counted_by_route(client: TestClient) -> None:
    for number in (1, 2, 999):
        client.get(f"/thumbs/{number}")
    client.get("/nowhere/at/all")
    client.get("/api/search?q=%20")
    said = client.get("/metrics").text
    assert 'glotclip_requests_total{method="GET",route="/thumbs/{number}",status="200"} 2.0' in said
    assert 'glotclip_requests_total{method="GET",route="/thumbs/{number}",status="404"} 1.0' in said
    assert 'glotclip_requests_total{method="GET",route="other",status="404"} 1.0' in said
    assert 'route="/api/search",status="422"' in said
    assert "glotclip_items 40.0" in said and "process_resident_memory_bytes" in said
    assert 'glotclip_request_seconds_count{route="/thumbs/{number}"} 3.0' in said
