//! Distances on the sphere and the one-degree grid that finds the circles around a point.

use super::definition::Circle;

/// Mean radius of the earth (IUGG).
const EARTH_KM: f64 = 6371.0088;
/// Degrees added around a circle's box, about 10 cm: far above rounding errors, so that no cell is missed.
const SLACK_DEG: f64 = 1e-6;
/// A circle over more cells is checked by distance only. 2,048 cells of 4 bytes are 8 KiB a circle and hold
/// every circle of up to about 1,500 km at the latitudes where people live.
const CELLS_MAX: usize = 2048;

impl Circle {
    /// Great-circle distance by the haversine formula, against the radius (inclusive).
    pub fn contains(&self, (lat, lon): (f64, f64)) -> bool {
        let (a, b) = (self.lat.to_radians(), lat.to_radians());
        let half_lat = ((b - a) / 2.0).sin();
        let half_lon = ((lon - self.lon).to_radians() / 2.0).sin();
        let h = half_lat * half_lat + a.cos() * b.cos() * half_lon * half_lon;
        2.0 * EARTH_KM * h.min(1.0).sqrt().asin() <= self.km
    }

    /// On the globe, with a radius above zero.
    pub fn is_valid(&self) -> bool {
        self.lat.abs() <= 90.0 && self.lon.abs() <= 180.0 && self.km > 0.0 && self.km.is_finite()
    }
}

/// The cell of a point in range.
pub(super) fn cell((lat, lon): (f64, f64)) -> u64 {
    cell_at(lat.floor() as i64, lon.floor() as i64)
}

/// Every cell that the circle may touch; `None` where they are too many.
pub(super) fn cells(circle: &Circle) -> Option<Vec<u64>> {
    let angle = circle.km / EARTH_KM;
    let lat = (
        circle.lat - angle.to_degrees() - SLACK_DEG,
        circle.lat + angle.to_degrees() + SLACK_DEG,
    );
    let rows = lat.0.max(-90.0).floor() as i64..=lat.1.min(90.0).floor() as i64;
    // A circle around a pole has every longitude; another one spans asin(sin r / cos lat) to either side.
    let half_lon = if lat.0 <= -90.0 || lat.1 >= 90.0 {
        180.0
    } else {
        (angle.sin() / circle.lat.to_radians().cos())
            .clamp(-1.0, 1.0)
            .asin()
            .to_degrees()
            + SLACK_DEG
    };
    let columns = (circle.lon - half_lon).floor() as i64..=(circle.lon + half_lon).floor() as i64;
    if rows.clone().count() * columns.clone().count() > CELLS_MAX {
        return None;
    }
    Some(
        rows.flat_map(|row| columns.clone().map(move |column| cell_at(row, column)))
            .collect(),
    )
}

fn cell_at(lat: i64, lon: i64) -> u64 {
    ((lat + 90) * 360 + (lon + 180).rem_euclid(360)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn distances_agree_with_known_cities() {
        let paris = |km| Circle {
            lat: 48.8566,
            lon: 2.3522,
            km,
        };
        let london = (51.5074, -0.1278);
        assert!(paris(344.0).contains(london) && !paris(343.0).contains(london));
        let fiji = Circle {
            lat: -17.0,
            lon: 179.9,
            km: 50.0,
        };
        assert!(fiji.contains((-17.0, -179.9)));
    }

    proptest! {
        #[test]
        fn every_point_in_a_circle_lies_in_one_of_its_cells(
            lat in -90.0..=90.0_f64, lon in -180.0..=180.0_f64, km in 0.1..2000.0,
            dlat in -20.0..20.0_f64, dlon in -180.0..180.0_f64,
        ) {
            let circle = Circle { lat, lon, km };
            let wrapped = (lon + dlon + 540.0).rem_euclid(360.0) - 180.0;
            let point = ((lat + dlat).clamp(-90.0, 90.0), wrapped);
            if let Some(cells) = cells(&circle) && circle.contains(point) {
                prop_assert!(cells.contains(&cell(point)));
            }
        }
    }
}
